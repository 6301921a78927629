"""Uploads what the trainer has evaluated: the next attempt, retention and the export need it.

Invariant: only what fits the contract is uploaded, encoded anew. Any thread may call `ship`.
"""

from __future__ import annotations

import threading

from trainingrun_agent import contract
from trainingrun_agent.keys import Attempt
from trainingrun_agent.shared.folder import Folder
from trainingrun_agent.storage import documents
from trainingrun_agent.storage.base import ObjectStore
from trainingrun_agent.transfer.evaluations import Evaluation, own_evaluations


class EvaluationShipper:
    """Writes `<attempt>/evaluations.json` when there are new evaluations in the shared folder."""

    def __init__(self, store: ObjectStore, attempt: Attempt, folder: Folder) -> None:
        self._store, self._attempt, self._folder = store, attempt, folder
        self._shipped: list[Evaluation] = []
        self._lock = threading.Lock()

    def ship(self) -> None:
        """Upload the document if it has changed."""
        with self._lock:
            found = own_evaluations(self._folder, epoch=self._attempt.epoch)
            if not found or found == self._shipped:
                return
            document = {"contractVersion": contract.VERSION, "evaluations": [one.to_json() for one in found]}
            self._store.put(self._attempt.evaluations, documents.encode(document))
            self._shipped = found

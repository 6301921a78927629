"""A TrainingRun as the operator reads it: a view of one object; invariant: never changed in place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from trainingrun.api.names import API_VERSION, KIND, LABEL_MANAGED_BY, LABEL_RUN, LABEL_RUN_UID, MANAGER
from trainingrun.api.status import Status


@dataclass(frozen=True, slots=True)
class Run:
    """One TrainingRun; `spec` and `status` are the API server's dictionaries."""

    namespace: str
    name: str
    uid: str
    generation: int
    resource_version: str
    created: str
    deleting: bool = False
    spec: Mapping[str, Any] = field(default_factory=dict)
    status: Status = field(default_factory=Status)

    @classmethod
    def from_object(cls, body: Mapping[str, Any]) -> Run:
        """Read the object as the API server returned it."""
        meta = body["metadata"]
        return cls(
            namespace=meta["namespace"],
            name=meta["name"],
            uid=meta["uid"],
            generation=int(meta.get("generation", 1)),
            resource_version=str(meta.get("resourceVersion", "0")),
            created=str(meta.get("creationTimestamp", "")),
            deleting="deletionTimestamp" in meta,
            spec=body.get("spec") or {},
            # The API server has checked it against the schema that the type is made from.
            status=cast("Status", body.get("status") or {}),
        )

    @property
    def key(self) -> str:
        """Queue and cache key, `namespace/name`."""
        return f"{self.namespace}/{self.name}"

    @property
    def owner_reference(self) -> dict[str, Any]:
        """Owner reference that deletes a child with the run; blocking the run's deletion would need one more right."""
        return {
            "apiVersion": API_VERSION,
            "kind": KIND,
            "name": self.name,
            "uid": self.uid,
            "controller": True,
        }

    @property
    def labels(self) -> dict[str, str]:
        """Labels of every child."""
        return {LABEL_RUN: self.name, LABEL_RUN_UID: self.uid, LABEL_MANAGED_BY: MANAGER}

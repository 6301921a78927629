"""Verifies what the manifest of a checkpoint or an export names, for a stage that may have ended before.

Invariant: every object is read once, one at a time; nothing of it is left in the shared folder.
"""

from __future__ import annotations

from typing import Final

from trainingrun_agent.keys import file_of, folder_of
from trainingrun_agent.shared import names
from trainingrun_agent.shared.folder import Folder
from trainingrun_agent.storage import manifest as manifests
from trainingrun_agent.storage.base import ObjectStore
from trainingrun_agent.transfer.meter import Meter

_FILE: Final = ".verified"


def verify(store: ObjectStore, manifest_key: str, *, shared: Folder, meter: Meter) -> None:
    """Read all objects of a manifest. Raises one of UNUSABLE if one is gone or damaged, DiskFull, Interrupted."""
    manifest = manifests.read(store, manifest_key)
    meter.expect(sum(entry.size for entry in manifest.objects))
    with shared.sub(names.SPOOL, create=True) as spool:
        for entry in manifest.objects:
            key, path = file_of(folder_of(manifest_key), entry.key), spool.path(_FILE)
            store.download(key, path, size=entry.size, sha256=entry.sha256, on_bytes=meter.moved)
            spool.remove(_FILE)

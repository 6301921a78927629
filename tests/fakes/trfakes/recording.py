"""What earlier versions wrote, as recorded by trdemo/record_upgrade.py: objects of the cluster and the bucket."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

NAMESPACE = "upgrade"
FOLDER = Path(__file__).resolve().parents[2] / "upgrade"
Object = dict[str, Any]


@dataclass(frozen=True)
class Recording:
    """One version's recording."""

    folder: Path

    @property
    def crd(self) -> Path:
        """The CustomResourceDefinition of that version."""
        return self.folder / "crd.yaml"

    def objects(self) -> dict[str, list[Object]]:
        """Objects of the namespace `upgrade`, by plural."""
        found: dict[str, list[Object]] = json.loads((self.folder / "objects.json").read_text(encoding="utf-8"))
        return found

    def get(self, plural: str, name: str) -> Object:
        """One object by its name."""
        return next(body for body in self.objects()[plural] if body["metadata"]["name"] == name)

    def bucket(self) -> Iterator[tuple[str, bytes]]:
        """All keys of the bucket `detectors`, with their content."""
        with tarfile.open(self.folder / "bucket.tar.gz") as archive:
            for entry in archive:
                body = archive.extractfile(entry)
                yield entry.name, body.read() if isinstance(body, io.BufferedIOBase) else b""


RECORDINGS = [Recording(path) for path in sorted(FOLDER.iterdir()) if path.is_dir()]

"""The command line, called in a folder with data, and what it said."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from trainingrun_agent.cli import main
from voc_data import jpeg, voc


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str


@dataclass
class Shell:
    """`root` is the current folder."""

    root: Path
    capsys: pytest.CaptureFixture[str]

    def add(self, name: str, image: bytes | None = None, xml: bytes | None = None) -> None:
        """Write `<name>.jpg` and `<name>.xml`; a clean image or annotation where none is given."""
        self.write(f"{name}.jpg", jpeg() if image is None else image)
        self.write(f"{name}.xml", voc() if xml is None else xml)

    def write(self, name: str, data: bytes) -> None:
        """Write a file and the folders above it."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    def run(self, *words: str) -> Ended:
        """Call the command; wrong arguments end it by SystemExit, as argparse does."""
        self.capsys.readouterr()
        try:
            code = main(words)
        except SystemExit as ended:
            code = int(ended.code or 0)
        said = self.capsys.readouterr()
        return Ended(code, said.out, said.err)

    def names(self, folder: str = ".") -> list[str]:
        """What lies in a folder."""
        return sorted(path.name for path in (self.root / folder).iterdir())

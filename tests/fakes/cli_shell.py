"""Call the command line in a folder with data, and capture its output."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from trainingrun_agent.cli import main
from voc_data import jpeg, voc


@dataclass(frozen=True)
class Result:
    """Exit code and output of a command."""

    code: int
    out: str
    err: str


@dataclass
class Shell:
    """The command line of the agent's package; `root` is the current folder."""

    root: Path
    capsys: pytest.CaptureFixture[str]

    def add(self, name: str, image: bytes | None = None, xml: bytes | None = None) -> None:
        """Write `<name>.jpg` and `<name>.xml`; by default a valid image and annotation."""
        self.write(f"{name}.jpg", jpeg() if image is None else image)
        self.write(f"{name}.xml", voc() if xml is None else xml)

    def write(self, name: str, data: bytes) -> None:
        """Write a file, and create its parent folders."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    def run(self, *words: str) -> Result:
        """Run a command; argparse ends it with SystemExit when arguments are wrong."""
        self.capsys.readouterr()
        try:
            code = main(words)
        except SystemExit as ended:
            code = int(ended.code or 0)
        captured = self.capsys.readouterr()
        return Result(code, captured.out, captured.err)

    def names(self, folder: str = ".") -> list[str]:
        """Names of the files and folders in a folder."""
        return sorted(path.name for path in (self.root / folder).iterdir())

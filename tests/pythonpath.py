"""Print the PYTHONPATH of this checkout: the folders that pyproject.toml lists for pytest, as absolute paths."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    folders = settings["tool"]["pytest"]["ini_options"]["pythonpath"]
    print(os.pathsep.join(str(ROOT / folder) for folder in folders))


if __name__ == "__main__":
    main()

"""Take the step that the message of a failed run ends with, in a shell and word for word, as its reader does."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import Any, Final

import yaml

from trdemo.shell import Kubectl

RETRY: Final = re.compile(r"[Tt]ry again: (kubectl .*)$")
CREATE: Final = re.compile(
    r"To create the new run: \(1\) (.*) \(2\) edit metadata\.name and the fields there \(3\) (.*)$"
)
_FIELD: Final = re.compile(r"new TrainingRun with spec\.([\w.]+): (\[.*?\]|\S+?)[.,;]? ")


def retry(kubectl: Kubectl, message: str) -> str:
    """Run the command of a message that offers a retry."""
    return in_shell(kubectl, _found(RETRY, message)[1], folder=Path.cwd())


def create(kubectl: Kubectl, message: str, *, name: str, folder: Path) -> str:
    """Create the run of a message that asks for a new one, with the value that it gives to a field."""
    copy, make = _found(CREATE, message).groups()
    in_shell(kubectl, copy, folder=folder)
    path, value = _found(_FIELD, message).groups()
    file = folder / "new.yaml"
    run = yaml.safe_load(file.read_text())
    run["metadata"]["name"] = name
    _put(run["spec"], path, yaml.safe_load(value))
    file.write_text(yaml.safe_dump(run))
    return in_shell(kubectl, make, folder=folder)


def in_shell(kubectl: Kubectl, command: str, *, folder: Path) -> str:
    """Run a command in a shell with this kubectl and its cluster; returns what it prints, also when it fails."""
    path = f"{Path(kubectl.binary).parent}{os.pathsep}{os.environ['PATH']}"
    env = {**os.environ, "KUBECONFIG": kubectl.kubeconfig, "PATH": path}
    done = subprocess.run(
        ["bash", "-uc", command], cwd=folder, env=env, capture_output=True, text=True, timeout=120, check=False
    )
    return done.stdout + done.stderr


def _found(pattern: re.Pattern[str], message: str) -> re.Match[str]:
    found = pattern.search(message)
    assert found, message
    return found


def _put(spec: dict[str, Any], path: str, value: object) -> None:
    *parents, last = path.split(".")
    for parent in parents:
        spec = spec.setdefault(parent, {})
    spec[last] = value

"""Helm accepts all flags and values files in the documentation."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from trdemo.command_table import Way, documented
from trdemo.documented_commands import Command
from trimages.paths import REPOSITORY

SHOWN = re.compile(r"```yaml\n(images:\n.*?)```", re.DOTALL)
INSTALLING = [command for command in documented(Way.HELM) if " uninstall " not in command.text]


@pytest.mark.parametrize("command", INSTALLING, ids=lambda command: command.location)
def test_helm_renders_what_the_documentation_installs(
    helm: Callable[..., str], tmp_path: Path, command: Command
) -> None:
    (shown,) = SHOWN.findall((REPOSITORY / "docs" / "operations.md").read_text())
    values = tmp_path / "values.yaml"
    values.write_text(shown)
    text = command.text.replace("$R", "registry.example.com/trainingrun").replace("values.yaml", str(values))
    words = shlex.split(text.replace("charts/", f"{REPOSITORY}/charts/"))
    rendered = helm("template", *words[2:])
    assert "registry.example.com/trainingrun/operator" in rendered
    assert "registry.example.com/trainingrun/trainer" in rendered

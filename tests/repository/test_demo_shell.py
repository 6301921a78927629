"""The file that a user's shell sources after the demo."""

from __future__ import annotations

import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from trdemo import user_shell


def test_a_shell_that_sources_it_has_programs_address_and_key(tmp_path: Path) -> None:
    kubectl = tmp_path / "cache dir" / "kubectl"
    kubectl.parent.mkdir()
    kubectl.write_text("#!/bin/sh\necho kubectl with $KUBECONFIG\n")
    kubectl.chmod(0o755)
    target: Any = SimpleNamespace(
        kubectl=SimpleNamespace(binary=str(kubectl), kubeconfig="/tmp/a config"),
        helm=str(kubectl.with_name("helm")),
        storage=SimpleNamespace(endpoint="http://127.0.0.1:7070", access_key="AK", secret_key="it's $ecret"),
    )
    for _ in range(2):  # the demo may run again
        file = user_shell.write(target, tmp_path / "out")
    assert file.stat().st_mode & 0o777 == 0o600
    script = f'source "{file}"; kubectl; echo "$AWS_ENDPOINT_URL $AWS_ACCESS_KEY_ID $AWS_SECRET_ACCESS_KEY $AWS_REGION"'
    said = subprocess.run(["bash", "-euc", script], capture_output=True, text=True, timeout=60, check=True).stdout
    assert said == "kubectl with /tmp/a config\nhttp://127.0.0.1:7070 AK it's $ecret us-east-1\n"

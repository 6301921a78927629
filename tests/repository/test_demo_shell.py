"""How a user's shell starts the demo, and the file that it sources afterwards."""

from __future__ import annotations

import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from trdemo import user_shell
from trdemo.__main__ import DEMOS
from trimages.paths import REPOSITORY


@pytest.mark.parametrize("network", DEMOS)
def test_make_trains_the_network_that_is_named(network: str) -> None:
    command = ["make", "--dry-run", "demo", f"NETWORK={network}"]
    said = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=120, check=True).stdout
    assert f'trdemo run --network "{network}"' in said


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

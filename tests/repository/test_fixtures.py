"""The tests that need a cluster or TensorFlow ask for fixtures that exist; found here, before a cluster is up."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from trimages.paths import REPOSITORY


@pytest.mark.parametrize("tier", ["api", "node", "tensorflow"])
def test_every_test_finds_its_fixtures(tier: str) -> None:
    argv = [sys.executable, "-m", "pytest", "-q", "--setup-plan", "-p", "no:cacheprovider", "-m", tier]
    folders = {"api": ["tests/api"], "node": ["tests/e2e", "tests/cluster"], "tensorflow": ["tests/trainer"]}[tier]
    env = {**os.environ, "TRAININGRUN_TF_PYTHON": sys.executable}
    done = subprocess.run(
        [*argv, *folders], cwd=REPOSITORY, env=env, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    assert " SETUP " in done.stdout

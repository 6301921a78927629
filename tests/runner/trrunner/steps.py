"""What is run, as data: static checks as commands, tests as tiers."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Check:
    """A command that must end with exit code 0."""

    name: str
    argv: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Tier:
    """Tests that need the same things; `needs` are prepared before it."""

    name: str
    paths: tuple[str, ...]
    select: str  # pytest -m
    needs: tuple[str, ...] = ()
    workers: int = 0  # tests that mostly wait for each other run side by side
    dist: str = "load"  # of pytest-xdist; loadfile where the tests of a file share what is dear to make
    behind: bool = False  # computes all the time: takes what the tiers after it leave of the processors


PACKAGES = (
    "operator/trainingrun",
    "images/agent/trainingrun_agent",
    "images/build/trimages",
    "images/trainer/trainingrun_trainer",
    "tests/cluster/trcluster",
    "tests/demo/trdemo",
    "tests/runner/trrunner",
    "tests/bench/trbench",
    "tests/fakes/trfakes",
    "tests/fakes/trfuzz",
)
CHECKS = (
    Check("lint", ("ruff", "check", ".")),
    Check("format", ("ruff", "format", "--check", ".")),
    Check("lint trainer", ("ruff", "check", "images/trainer", "--config", "images/trainer/ruff.toml")),
    Check("format trainer", ("ruff", "format", "--check", "images/trainer", "--config", "images/trainer/ruff.toml")),
    Check("types", ("mypy", *PACKAGES)),
    Check("layers", ("lint-imports", "--config", "pyproject.toml")),
    Check("chart drift", ("python", "charts/sync.py", "--check")),
    Check("chart README drift", ("python", "charts/readme.py", "--check")),
    Check("reference drift", ("python", "manifests/reference.py", "--check")),
    Check("status types drift", ("python", "manifests/status_types.py", "--check")),
    Check("findings drift", ("python", "images/agent/findings_page.py", "--check")),
    Check("requirements", ("python", "-m", "trimages", "check-requirements")),
)
NOT_REAL = "not api and not node and not tensorflow"
UNIT = Tier(
    "unit",
    (
        "tests/unit",
        "tests/agent/prep",
        "tests/agent/pipeline",
        "tests/agent/cli",
        "tests/trainer",
        "tests/images",
        "tests/cluster/tests",
    ),
    NOT_REAL,
    workers=3,
)
TIERS = (
    UNIT,
    Tier("contract", ("tests/contract", "tests/agent/core", "tests/agent/transfer"), NOT_REAL, workers=3),
    Tier("fuzz", ("tests/fuzz",), NOT_REAL, workers=2),
    Tier("chart", ("tests/chart",), NOT_REAL, ("chart tools",), workers=3, dist="loadfile"),
    Tier("api", ("tests/api", "tests/cluster/tests"), "api", ("binaries",), workers=2, dist="loadfile"),
    # Building graphs is Python on one core: two at a time.
    Tier("tensorflow", ("tests/trainer",), "tensorflow", ("tensorflow",), workers=2, dist="loadfile", behind=True),
    Tier("node", ("tests/cluster/tests", "tests/e2e"), "node", ("binaries", "images", "tensorflow", "free node")),
)

"""List the checks (commands) and the tiers of tests, as data."""

from __future__ import annotations

from dataclasses import dataclass

from trservers import catalogue


@dataclass(frozen=True, slots=True)
class Check:
    """A static check: a command that must end with exit code 0."""

    name: str
    argv: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Tier:
    """A group of tests with the same needs, which are prepared before they run."""

    name: str
    paths: tuple[str, ...]
    select: str  # pytest -m
    needs: tuple[str, ...] = ()
    workers: int = 0  # more than 0 where tests can run in parallel
    dist: str = "load"  # for pytest-xdist; loadfile where tests of a file share an expensive fixture
    background: bool = False  # mostly computes: runs at low priority while the next tiers run
    server: str = ""  # name of the S3 server that the tests run against


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
    "tests/fakes/trcorpus",
    "tests/servers/trservers",
    "tests/chaos/trchaos",
    "tests/chaos/trchaosfleet",
    "tests/chaos/trchaosstorage",
    "tests/chaos/trchaosnode",
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
    Check("findings drift", ("python", "manifests/findings.py", "--check")),
    Check("reasons drift", ("python", "manifests/reasons.py", "--check")),
    Check("requirements", ("python", "-m", "trimages", "check-requirements")),
)
NOT_REAL = "not api and not node and not tensorflow and not long"
UNIT = Tier(
    "unit",
    (
        "tests/operator",
        "tests/agent",
        "tests/trainer",
        "tests/images",
        "tests/api",
        "tests/cluster/tests",
        "tests/chaos/node",
        "tests/repository",
    ),
    f"{NOT_REAL} and not contract and not s3",
    workers=3,
)


def _server(name: str) -> Tier:
    """The tests of storage, and a whole run, against a server."""
    paths = ("tests/agent/servers", "tests/agent/storage", "tests/agent/prep/test_prepare.py")
    return Tier(f"server-{name}", paths, "s3", ("S3 server",), workers=2, dist="loadfile", server=name)


TIERS = (
    UNIT,
    # Building a TensorFlow graph uses one core: two tests at a time. It fills the time that the next tiers wait.
    Tier("tensorflow", ("tests/trainer",), "tensorflow", ("tensorflow",), workers=2, dist="loadfile", background=True),
    # Half of their time, these tests wait for answers.
    Tier(
        "contract", ("tests/operator", "tests/agent", "tests/chaos/fleet", "tests/chaos/storage"), "contract", workers=4
    ),
    *(_server(name) for name in catalogue.QUICK),
    Tier("keyless", ("tests/servers",), "contract", ("SeaweedFS",)),
    Tier("fuzz", ("tests/fuzz",), NOT_REAL, workers=2),
    # The longest of its tests keeps two cores busy by itself.
    Tier("chaos", ("tests/chaos",), f"{NOT_REAL} and not contract"),
    Tier("chart", ("tests/chart",), NOT_REAL, ("chart tools",), workers=3, dist="loadfile"),
    Tier("api", ("tests/api", "tests/cluster/tests"), "api", ("binaries",), workers=2, dist="loadfile"),
    Tier(
        "node",
        ("tests/cluster/tests", "tests/e2e"),
        "node",
        ("binaries", "SeaweedFS", "images", "tensorflow", "free node"),
    ),
)
# Too long for every change: each has a make target of its own, and is no part of `all`.
LONG_TIERS = (
    *(_server(name) for name in catalogue.ALL if name not in catalogue.QUICK),
    Tier("tf2", ("tests/trainer",), "tensorflow", ("tensorflow", "tensorflow 2")),
    Tier("networks", ("tests/trainer",), "long", ("tensorflow",)),
    Tier("chaos-resume", ("tests/trainer/test_exact_resume.py",), "long", ("tensorflow",)),
    Tier("e2e-long", ("tests/e2e/long",), "long", ("binaries", "images", "tensorflow", "free node")),
    Tier("chaos-node", ("tests/e2e/chaos",), "long", ("binaries", "images", "free node")),
)

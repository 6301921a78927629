"""`python3 -m trrunner check|all|TIER...`: checks and tests, with a summary that leaves nothing out."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from trcluster import ClusterError
from trimages.errors import BuildError
from trrunner import needs
from trrunner.report import Result, read
from trrunner.steps import CHECKS, TIERS, UNIT, Check, Tier

ROOT = Path(__file__).resolve().parents[3]


def main() -> int:
    """Run what was asked for; returns 0 when nothing failed."""
    names = ["check", "all", *(tier.name for tier in TIERS)]
    parser = argparse.ArgumentParser(prog="trrunner", description="Checks and tests, tier by tier.")
    parser.add_argument("what", nargs="+", choices=names)
    parser.add_argument("--pytest", default="", help="more arguments for pytest, in one string")
    arguments = parser.parse_args()
    results: list[Result] = []
    if {"check", "all"} & set(arguments.what):
        results += [_check(check) for check in CHECKS]
    everything = "all" in arguments.what
    for tier in TIERS:
        if everything or tier.name in arguments.what or (tier is UNIT and "check" in arguments.what):
            results.append(_tier(tier, extra=arguments.pytest.split()))
    return _summary(results)


def _check(check: Check) -> Result:
    _headline(check.name)
    started = time.monotonic()
    argv = (sys.executable, *check.argv[1:]) if check.argv[0] == "python" else check.argv
    code = subprocess.run(argv, cwd=ROOT, check=False).returncode
    result = Result(check.name, seconds=time.monotonic() - started)
    result.passed, result.failed = (1, 0) if code == 0 else (0, 1)
    return result


def _tier(tier: Tier, *, extra: list[str]) -> Result:
    _headline(f"tier {tier.name}")
    started = time.monotonic()
    try:
        for need in tier.needs:
            needs.prepare(need, echo=lambda text: print(f"  {text}", flush=True))
    except (ClusterError, BuildError) as error:
        return Result(tier.name, failed=1, seconds=time.monotonic() - started, error=str(error))
    with tempfile.TemporaryDirectory() as folder:
        xml = Path(folder) / "report.xml"
        paths = [path for path in tier.paths if (ROOT / path).exists()]
        argv = [sys.executable, "-m", "pytest", "-q", f"--junitxml={xml}", "-m", tier.select, *paths, *extra]
        argv += ["-n", str(tier.workers), "--dist", tier.dist] if tier.workers else []
        code = subprocess.run(argv, cwd=ROOT, env=_environment(), check=False).returncode
        return read(tier.name, xml, seconds=time.monotonic() - started, code=code)


def _environment() -> dict[str, str]:
    """Absolute, so that a test may start programs in other folders."""
    path = os.pathsep.join(str(ROOT / part) for part in os.environ.get("PYTHONPATH", "").split(os.pathsep) if part)
    return {**os.environ, "PYTHONPATH": path}


def _headline(text: str) -> None:
    print(f"\n== {text}", flush=True)


def _summary(results: list[Result]) -> int:
    _headline("summary")
    for result in results:
        print(result.line)
        for reason, count in result.reasons.items():
            print(f"{'':12}  {count} skipped: {reason}")
    passed, failed, skipped = (sum(getattr(r, name) for r in results) for name in ("passed", "failed", "skipped"))
    print(f"total time {sum(result.seconds for result in results):.0f} s")
    print(f"{passed} passed, {failed} failed, {skipped} skipped", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

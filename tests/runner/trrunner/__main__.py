"""`python3 -m trrunner check|all|TIER...`: run checks and tests, and print a summary."""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

from trcluster import ClusterError
from trimages.errors import BuildError
from trrunner import needs
from trrunner.report import Result, read
from trrunner.steps import CHECKS, LONG_TIERS, TIERS, UNIT, Check, Tier
from trservers import lacks

BACKGROUND_NICENESS = "5"
"""A quarter of a core beside busy neighbours. With 19 it was a hundredth, and tests waited in vain for TensorFlow."""
ROOT = Path(__file__).resolve().parents[3]


def main() -> int:
    """Run the named checks and tiers; returns 0 when nothing failed."""
    known = (*TIERS, *LONG_TIERS)
    names = ["check", "all", "servers", *(tier.name for tier in known)]
    parser = argparse.ArgumentParser(prog="trrunner", description="Run checks and tests, tier by tier.")
    parser.add_argument("what", nargs="+", choices=names)
    parser.add_argument("--pytest", default="", help="additional arguments for pytest, in one string")
    arguments = parser.parse_args()
    started = time.monotonic()
    results: list[Result] = []
    if {"check", "all"} & set(arguments.what):
        results += [_check(check) for check in CHECKS]
    wanted = {tier.name for tier in TIERS} if "all" in arguments.what else set(arguments.what)
    wanted |= {tier.name for tier in known if tier.server and "servers" in arguments.what}
    chosen = [tier for tier in known if tier.name in wanted or (tier is UNIT and "check" in wanted)]
    results += _tiers(chosen, extra=shlex.split(arguments.pytest))
    return _summary(results, seconds=time.monotonic() - started)


def _check(check: Check) -> Result:
    _headline(check.name)
    started = time.monotonic()
    argv = (sys.executable, *check.argv[1:]) if check.argv[0] == "python" else check.argv
    code = subprocess.run(argv, cwd=ROOT, check=False).returncode
    result = Result(check.name, seconds=time.monotonic() - started)
    result.passed, result.failed = (1, 0) if code == 0 else (0, 1)
    return result


def _tiers(tiers: Sequence[Tier], *, extra: list[str]) -> list[Result]:
    """Run tiers in order; a tier in the background prints its output when it has ended."""
    with ThreadPoolExecutor() as pool:
        running = []
        for tier in tiers:
            _headline(f"tier {tier.name}")
            background = tier.background and tier is not tiers[-1]
            started = _Started(tier, extra=extra, background=background)
            running.append(pool.submit(started.finish))
            if not background:
                wait(running[-1:])
        return [each.result() for each in running]


class _Started:
    """A tier whose needs have been prepared; `finish` runs its tests."""

    def __init__(self, tier: Tier, *, extra: list[str], background: bool) -> None:
        self._tier, self._extra, self._background = tier, extra, background
        self._since, self._error = time.monotonic(), ""
        try:
            for need in tier.needs:
                needs.prepare(need, echo=lambda text: print(f"  {text}", flush=True), server=tier.server)
        except (ClusterError, BuildError) as error:
            self._error = str(error)
        if background:
            print("  runs in the background; its output is printed after the next tiers", flush=True)

    def finish(self) -> Result:
        """Run pytest and return the counts of its report."""
        if self._error:
            return Result(self._tier.name, failed=1, seconds=time.monotonic() - self._since, error=self._error)
        with tempfile.TemporaryDirectory() as folder:
            xml, output = Path(folder) / "report.xml", Path(folder) / "output"
            argv = [*(("nice", "-n", BACKGROUND_NICENESS) if self._background else ()), *self._command(xml)]
            with output.open("wb") as file:
                to = file if self._background else None
                code = subprocess.run(argv, cwd=ROOT, check=False, stdout=to, stderr=to).returncode
            if self._background:
                _headline(f"output of tier {self._tier.name}")
                print(output.read_text(encoding="utf-8", errors="replace"), flush=True)
            result = read(self._tier.name, xml, seconds=time.monotonic() - self._since, code=code)
            if self._tier.server and not result.failed:
                result.note = lacks.summary(self._tier.server)
            return result

    def _command(self, xml: Path) -> list[str]:
        tier = self._tier
        paths = [path for path in tier.paths if (ROOT / path).exists()]
        argv = [sys.executable, "-m", "pytest", "-q", f"--junitxml={xml}", "-m", tier.select, *paths, *self._extra]
        argv += ["-p", "trservers.expectations", "--s3-server", tier.server] if tier.server else []
        return argv + (["-n", str(tier.workers), "--dist", tier.dist] if tier.workers else [])


def _headline(text: str) -> None:
    print(f"\n== {text}", flush=True)


def _summary(results: list[Result], *, seconds: float) -> int:
    _headline("summary")
    for result in results:
        print(result.line)
        if result.note:
            print(f"{'':19}  {result.note}")
        for test in result.failures:
            print(f"{'':19}  failed: {test}")
        for reason, count in result.reasons.items():
            print(f"{'':19}  {count} skipped: {reason}")
    passed, failed, skipped = (sum(getattr(r, name) for r in results) for name in ("passed", "failed", "skipped"))
    print(f"total time {seconds:.0f} s")
    print(f"{passed} passed, {failed} failed, {skipped} skipped", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

"""`python3 -m trbench [PROGRAM...]`: measure, print a line per number; exit code 1 when one breaks its limit."""

from __future__ import annotations

import argparse
import importlib
import sys
import time
from collections.abc import Iterator

from trbench.measurements import Measurement
from trcluster import ClusterError
from trdemo.shell import DemoError
from trimages.errors import BuildError

PROGRAMS = {
    "images": "compressed sizes of the four images",
    "dirt": "what dirty data costs a model, prepared by us and the tutorial's way",
    "prep": "speed and memory of preparation, by the number of images",
    "transfer": "the agent's up- and download against s5cmd",
    "mirror": "requests of TensorBoard's mirror against the bucket",
    "driver": "our training loop against the Object Detection API's own model_main",
    "orchestration": "what the cluster adds to the containers' work; a second run on the same data",
}


def main() -> int:
    """Run what was asked for, by default everything."""
    parser = argparse.ArgumentParser(
        prog="trbench",
        description="Measure what the product costs.",
        epilog="\n".join(f"{name:14} {text}" for name, text in PROGRAMS.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("programs", nargs="*", metavar="PROGRAM", help=f"of {', '.join(PROGRAMS)} (default: all)")
    asked = parser.parse_args().programs
    unknown = [name for name in asked if name not in PROGRAMS]
    if unknown:
        parser.error(f"no such program: {', '.join(unknown)}; known: {', '.join(PROGRAMS)}")
    started = time.monotonic()
    failed = sum(_run(name) for name in asked or PROGRAMS)
    _echo(f"{time.monotonic() - started:.0f} s, {failed} beyond the limit")
    return 1 if failed else 0


def _run(program: str) -> int:
    """The number of lines that failed."""
    measure = importlib.import_module(f"trbench.{program}").measure
    failed = 0
    try:
        numbers: Iterator[Measurement] = measure(_echo)
        for number in numbers:
            print(number.line(program), flush=True)
            failed += not number.passed
    except (ClusterError, BuildError, DemoError) as error:
        print(f"{program:14} FAIL  {error}", flush=True)
        return failed + 1
    return failed


def _echo(text: str) -> None:
    sys.stderr.write(f"  {text}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())

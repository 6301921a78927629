"""`python3 -m trbench [PROGRAM...]`: run benchmarks; exit code 1 when a measurement is beyond its limit."""

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
    "dirt": "scores of a model trained on dirty data, prepared by us and by the tutorial's scripts",
    "prep": "speed and memory of preparation for different numbers of images",
    "sizes": "preparation of photos of 0.3, 2 and 12 megapixels: speed, memory, records",
    "transfer": "upload and download by the agent, compared with s5cmd",
    "mirror": "requests to the bucket that TensorBoard's mirror makes",
    "driver": "our training loop, compared with model_main of the Object Detection API",
    "fleet": "many runs at once: throughput, CPU and requests, beside a bare program that creates the same Jobs",
    "orchestration": "time that cluster and operator add to a run; a second run on the same data",
}


def main() -> int:
    """Run the named benchmarks, by default all."""
    parser = argparse.ArgumentParser(
        prog="trbench",
        description="Measure speed, memory and size.",
        epilog="\n".join(f"{name:14} {text}" for name, text in PROGRAMS.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("programs", nargs="*", metavar="PROGRAM", help=f"one of {', '.join(PROGRAMS)} (default: all)")
    asked = parser.parse_args().programs
    unknown = [name for name in asked if name not in PROGRAMS]
    if unknown:
        parser.error(f"no such program: {', '.join(unknown)}; known: {', '.join(PROGRAMS)}")
    started = time.monotonic()
    failed = sum(_run(name) for name in asked or PROGRAMS)
    _echo(f"{time.monotonic() - started:.0f} s; beyond their limit: {failed}")
    return 1 if failed else 0


def _run(program: str) -> int:
    """Run one benchmark; returns how many measurements are beyond their limit."""
    measure = importlib.import_module(f"trbench.{program}").measure
    failed = 0
    try:
        measurements: Iterator[Measurement] = measure(_echo)
        for measurement in measurements:
            print(measurement.line(program), flush=True)
            failed += not measurement.passed
    except (ClusterError, BuildError, DemoError) as error:
        print(f"{program:14} FAIL  {error}", flush=True)
        return failed + 1
    return failed


def _echo(text: str) -> None:
    sys.stderr.write(f"  {text}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())

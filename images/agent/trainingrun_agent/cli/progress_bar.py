"""Progress on standard error: a bar on a terminal, else a line every few seconds.

Invariant: it only reads the progress that preparation reports, and erases the bar when it ends.
"""

from __future__ import annotations

import sys
import threading
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TextIO

from trainingrun_agent.clock import Clock
from trainingrun_agent.progress import Progress

if TYPE_CHECKING:
    from tqdm import tqdm

REFRESH_SECONDS, LINE_SECONDS = 0.1, 5.0
_VERBS = {
    "listing": "listing",
    "fetching": "fetching labels",
    "reading": "reading labels",
    "pairing": "matching images and labels",
    "checking": "checking",
    "comparing": "looking for duplicates",
    "reporting": "drawing the report",
    "writing": "writing",
}


class ProgressBar:
    """Shows progress until the end of the block."""

    def __init__(
        self, progress: Progress, *, quiet: bool, stream: TextIO | None = None, clock: Clock | None = None
    ) -> None:
        self._progress, self._quiet = progress, quiet
        self._stream = stream or sys.stderr
        self._clock = clock or Clock()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="progress bar", daemon=True)
        self._display: _Lines | _TqdmBar = (
            _TqdmBar(self._stream) if self._stream.isatty() else _Lines(self._stream, self._clock)
        )

    def __enter__(self) -> Self:
        if not self._quiet:
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        if self._thread.ident is not None:
            self._thread.join()
        self._display.close()

    def refresh(self) -> None:
        """Show what has changed."""
        document = self._progress.snapshot()
        if document["phase"] in _VERBS and document.keys() >= {"done", "unit"}:
            self._display.show(document)

    def _loop(self) -> None:
        while not self._clock.wait(self._ended, REFRESH_SECONDS):
            self.refresh()


class _TqdmBar:
    """A bar of tqdm for each phase."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._phase: object = None
        self._bar: tqdm[Any] | None = None

    def show(self, document: dict[str, Any]) -> None:
        """Update the bar."""
        phase = (document["phase"], document["unit"])
        if self._bar is None or phase != self._phase:
            self.close()
            self._phase, self._bar = phase, self._new(*phase, document["done"])
        self._bar.total = document.get("total")
        if "bytesPerSecond" in document:
            self._bar.set_postfix_str(f"{document['bytesPerSecond'] / 1e6:.1f} MB/s", refresh=False)
        self._bar.update(document["done"] - self._bar.n)
        self._bar.refresh()

    def close(self) -> None:
        """Erase the bar."""
        if self._bar is not None:
            self._bar.close()

    def _new(self, phase: str, unit: str, done: int) -> tqdm[Any]:
        from tqdm import tqdm

        return tqdm(
            desc=_VERBS[phase],
            unit="B" if unit == "bytes" else f" {unit}",
            unit_scale=unit == "bytes",
            initial=done,
            file=self._stream,
            leave=False,
            dynamic_ncols=True,
            mininterval=0,
        )


class _Lines:
    """Progress as lines, for a log."""

    def __init__(self, stream: TextIO, clock: Clock) -> None:
        self._stream, self._clock = stream, clock
        self._phase: object = None
        self._start = (0.0, 0)
        self._next = clock.monotonic() + LINE_SECONDS

    def show(self, document: dict[str, Any]) -> None:
        """Print a line when LINE_SECONDS have passed."""
        now = self._clock.monotonic()
        phase = (document["phase"], document["unit"])
        if phase != self._phase:
            self._phase, self._start = phase, (now, document["done"])
        if now >= self._next:
            self._next = now + LINE_SECONDS
            since, first = self._start
            speed = (document["done"] - first) / max(now - since, 1e-3)
            print(_line(document, speed), file=self._stream, flush=True)

    def close(self) -> None:
        """Do nothing: printed lines stay."""


def _line(document: dict[str, Any], speed: float) -> str:
    done, total, unit = document["done"], document.get("total"), document["unit"]
    text = f"{_VERBS[document['phase']]} "
    if unit == "bytes":
        text += f"{done / 1e6:.1f}{f' of {total / 1e6:.1f}' if total else ''} MB, {speed / 1e6:.1f} MB/s"
    else:
        text += f"{done}{f' of {total}' if total else ''} {unit}, {speed:.0f} {unit}/s"
        text += f", {document['bytesPerSecond'] / 1e6:.1f} MB/s" if "bytesPerSecond" in document else ""
    return text + (f", {document['etaSeconds']:.0f} s left" if "etaSeconds" in document else "")

"""Fuzz one target in a separate process, with limits for memory and for the time per input.

Invariant: however that process ends, the outcome says how many inputs it tried and which one made the target fail.
"""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

from trfuzz.seeds import seeds, words

MEMORY_MIB = 512
"""Memory limit of the process, including interpreter and fuzzer; preparation itself may use 300 MiB."""
SECONDS_PER_INPUT = 20
SEED = 1
_STARTING = 120.0
_VERDICT = re.compile(r"=== Uncaught|ALARM: working|==\d+== ?ERROR")


@dataclass(frozen=True, slots=True)
class Outcome:
    """Result: `runs` counts the inputs tried, `broken` is the input that failed, `log` the fuzzer's output."""

    target: str
    runs: int
    broken: bytes | None
    log: str

    def report(self) -> str:
        """Describe the failure: the input in hex, the error, and how to repeat it."""
        begins = _VERDICT.search(self.log)
        shown_log = re.split(r"\n ?MS: |\nSUMMARY: ", self.log[begins.start() :] if begins else self.log[-3000:])[
            0
        ].strip()
        if self.broken is None:
            return f"{self.target}: the process ended without naming an input\n{shown_log}"
        shown = self.broken.hex()
        return (
            f"{self.target} fails on this input of {len(self.broken)} bytes, in hex:\n{shown}\n\n{shown_log}\n\n"
            f"To repeat: make fuzz ONLY={self.target} INPUT=HEX\n"
            "Once it is fixed, add the input to tests/fakes/trfuzz/regressions.py with a description."
        )


def fuzz(target: str, *, seconds: int, corpus: Path | None = None, per_input: int = SECONDS_PER_INPUT) -> Outcome:
    """Fuzz a target, each input for at most `per_input` seconds; new inputs are kept in `corpus`, if given."""
    with TemporaryDirectory(prefix="trfuzz-") as name:
        folder = Path(name)
        (folder / "seeds").mkdir()
        (folder / "broken").mkdir()
        for data in seeds(target):
            (folder / "seeds" / sha256(data).hexdigest()[:16]).write_bytes(data)
        (folder / "words").write_text("".join(f'"{_escaped(word)}"\n' for word in words(target)))
        argv = _command(target, folder, seconds=seconds, corpus=corpus, per_input=per_input)
        code, log = _run(argv, folder / "log", timeout=seconds + SECONDS_PER_INPUT + _STARTING)
        left = sorted((folder / "broken").iterdir())
        broken = left[0].read_bytes() if left else None
        runs = re.search(r"stat::number_of_executed_units:\s*(\d+)", log)
        if code == 0 and broken is None and runs:
            return Outcome(target, int(runs[1]), None, "")
        return Outcome(target, 0, broken, log)


def _command(target: str, folder: Path, *, seconds: int, corpus: Path | None, per_input: int) -> list[str]:
    options = {
        "max_total_time": seconds,
        "seed": SEED,
        "rss_limit_mb": MEMORY_MIB,
        "timeout": per_input,
        "max_len": max(4096, *(2 * len(data) for data in seeds(target))),
        "dict": folder / "words",
        "artifact_prefix": f"{folder / 'broken'}/",
        "print_final_stats": 1,
    }
    words_ = [f"-{name}={value}" for name, value in options.items()]
    folders = [str(each) for each in (corpus, folder / "seeds") if each is not None]
    return [sys.executable, "-m", "trfuzz.fuzzer_process", target, *words_, *folders]


def _run(argv: list[str], log: Path, *, timeout: float) -> tuple[int, str]:
    with log.open("wb") as output:
        try:
            code = subprocess.run(argv, stdout=output, stderr=output, timeout=timeout, check=False).returncode
        except subprocess.TimeoutExpired:
            code = -1
    return code, log.read_text(errors="replace")


def _escaped(word: bytes) -> str:
    r"""Escape a word for libFuzzer's dictionary: \xAB for each byte that is not alphanumeric."""
    return "".join(chr(byte) if chr(byte).isalnum() and byte < 128 else f"\\x{byte:02X}" for byte in word)

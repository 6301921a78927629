"""Run libFuzzer on one target: `python -m trfuzz.fuzzer_process TARGET OPTIONS... FOLDERS...`; it ends the process."""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["trainingrun_agent", "PIL", "yaml"]):
    from trfuzz import targets
    from trfuzz.memory import limit_memory

if __name__ == "__main__":
    name = sys.argv.pop(1)
    limit_memory()
    atheris.Setup(sys.argv, lambda data: targets.run(name, data) and None)
    atheris.Fuzz()

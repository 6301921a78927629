"""Checks that the node's CPU can run the image's TensorFlow: most builds need AVX and die from SIGILL without it.

A process that dies of SIGILL can report nothing, so a CPU without AVX gets a trial in a process of its own.
"""

import signal
import subprocess
import sys

from trainingrun_trainer.outcomes import TrainerError

CPUINFO = "/proc/cpuinfo"
TRIAL = "import tensorflow"


def check() -> None:
    """Raise when the CPU has no AVX and TensorFlow cannot be imported for it; a build without AVX is not refused."""
    if _may_have_avx(CPUINFO):
        return
    code = subprocess.call([sys.executable, "-c", TRIAL])  # noqa: S603 - both are ours
    if code in (-signal.SIGILL, -signal.SIGABRT):  # TensorFlow's own check of the CPU aborts
        raise TrainerError(
            "userError",
            "CPUWithoutAVX",
            "The CPU of the node has no AVX, which the TensorFlow of this trainer image needs: "
            f"importing it ended in {signal.Signals(-code).name}.",
        )


def _may_have_avx(cpuinfo: str) -> bool:
    """Whether the first CPU in a file like /proc/cpuinfo has AVX, or the file does not tell."""
    try:
        with open(cpuinfo) as lines:
            for line in lines:
                name, _, flags = line.partition(":")
                if name.strip() == "flags":
                    return "avx" in flags.split()
    except OSError:
        pass
    return True

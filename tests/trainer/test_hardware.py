"""A CPU or GPU that the image's TensorFlow cannot use is named before the work, without such a machine at hand."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

OLD_CPU = "processor\t: 0\nflags\t\t: fpu sse sse2 sse4_2 popcnt\nbugs\t\t:\n"
NEW_CPU = "processor\t: 0\nflags\t\t: fpu sse sse2 avx avx2\n"
ARM_CPU = "processor\t: 0\nFeatures\t: fp asimd\n"
DIES = "import os, signal; os.kill(os.getpid(), signal.{})"
WRAPPER = """
import sys, threading
from trainingrun_trainer import cpu, wrapper
cpu.CPUINFO, cpu.TRIAL = {cpuinfo!r}, {trial!r}
sys.exit(wrapper.main(threading.Event(), {argv}))
"""
DESCRIPTION = "device: 0, name: {}, pci bus id: 0000:00:1e.0, compute capability: {}"
NVIDIA = "12.1.0.023"  # CUDA_VERSION of tensorflow:23.03-tf1-py3


@pytest.fixture
def cpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The module, for a CPU without AVX."""
    from trainingrun_trainer import cpu

    (tmp_path / "cpuinfo").write_text(OLD_CPU)
    monkeypatch.setattr(cpu, "CPUINFO", str(tmp_path / "cpuinfo"))
    return cpu


@pytest.mark.parametrize("name", ["SIGILL", "SIGABRT"])
def test_a_cpu_without_avx_says_so_in_done_json(cpu: Any, shared: Any, name: str) -> None:
    argv = ["train", "--shared", str(shared.root)]
    code = WRAPPER.format(cpuinfo=cpu.CPUINFO, trial=DIES.format(name), argv=argv)
    ended = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(shared.package)}, check=False
    )
    done = shared.read("done.json")
    assert (ended.returncode, done["outcome"], done["reason"]) == (1, "userError", "CPUWithoutAVX")
    assert (
        f"has no AVX, which the TensorFlow of this trainer image needs: importing it ended in {name}."
        in done["message"]
    )


@pytest.mark.parametrize("trial", ["pass", "raise ImportError"])
def test_a_tensorflow_that_was_built_without_avx_may_run_on_such_a_cpu(
    cpu: Any, monkeypatch: pytest.MonkeyPatch, trial: str
) -> None:
    monkeypatch.setattr(cpu, "TRIAL", trial)
    cpu.check()


@pytest.mark.parametrize("text", [NEW_CPU, ARM_CPU, "", None])
def test_a_cpu_that_may_have_avx_costs_no_trial(cpu: Any, monkeypatch: pytest.MonkeyPatch, text: str | None) -> None:
    monkeypatch.setattr(cpu, "TRIAL", DIES.format("SIGILL"))
    if text is None:
        Path(cpu.CPUINFO).unlink()
    else:
        Path(cpu.CPUINFO).write_text(text)
    cpu.check()


def check_gpu(
    monkeypatch: pytest.MonkeyPatch, *gpus: tuple[str, str], version: str = "1.14.0", cuda: bool = True, **env: str
) -> str:
    """The reason and message of the check, empty when it passes."""
    from trainingrun_trainer import gpu
    from trainingrun_trainer.outcomes import TrainerError

    for name in ("CUDA_VERSION", gpu.DECLARED):
        monkeypatch.delenv(name, raising=False)
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    fake = SimpleNamespace(__version__=version, test=SimpleNamespace(is_built_with_cuda=lambda: cuda))
    monkeypatch.setitem(sys.modules, "tensorflow", fake)
    monkeypatch.setattr(gpu, "describe_gpus", lambda: [DESCRIPTION.format(*each) for each in gpus])
    with contextlib.suppress(TrainerError):
        gpu.check(1)
        return ""
    with pytest.raises(TrainerError) as raised:
        gpu.check(1)
    assert raised.value.outcome == "gpuUnfit"
    return f"{raised.value.reason}: {raised.value.message}"


T4, V100, A100, A10, H100, B200 = (
    ("Tesla T4", "7.5"), ("Tesla V100", "7.0"), ("A100", "8.0"), ("A10", "8.6"), ("H100", "9.0"), ("B200", "10.0")
)  # fmt: skip
OLD, OWN = {"CUDA_VERSION": "10.0.130"}, "TRAININGRUN_MAX_COMPUTE_CAPABILITY"


@pytest.mark.parametrize(
    ("gpu", "version", "env", "too_new"),
    [
        (V100, "1.14.0", OLD, False),
        (T4, "1.14.0", OLD, False),
        (A100, "1.14.0", OLD, True),
        (H100, "1.14.0", OLD, True),
        (A100, "1.14.0", {}, True),
        (A100, "1.14.0", {"CUDA_VERSION": "11.4.2"}, True),
        (A100, "1.14.0", {OWN: "8.0"}, False),
        (A100, "1.15.5", OLD, True),
        (A100, "1.15.5", {}, False),
        (A10, "1.15.5", {"CUDA_VERSION": "11.0.3"}, False),
        (H100, "1.15.5", {"CUDA_VERSION": "11.0.3"}, True),
        (H100, "1.15.5", {"CUDA_VERSION": "11.8.0"}, False),
        (T4, "1.15.5", {"CUDA_VERSION": NVIDIA}, False),
        (H100, "1.15.5", {"CUDA_VERSION": NVIDIA}, False),
        (B200, "1.15.5", {"CUDA_VERSION": NVIDIA}, True),
        (B200, "1.15.5", {"CUDA_VERSION": "12.8.1"}, False),
        (B200, "1.15.5", {"CUDA_VERSION": "13.0.0"}, False),
        (H100, "1.15.5", {"CUDA_VERSION": NVIDIA, OWN: "8.6"}, True),
        (A100, "unknown", {"CUDA_VERSION": "latest"}, False),
        (("a GPU", "of a kind"), "1.14.0", OLD, False),
    ],
)
def test_a_gpu_that_is_newer_than_the_cuda_of_the_image_is_refused(
    monkeypatch: pytest.MonkeyPatch, gpu: tuple[str, str], version: str, env: dict[str, str], too_new: bool
) -> None:
    said = check_gpu(monkeypatch, gpu, version=version, **env)
    assert said.startswith("GPUTooNew: ") == too_new, said


def test_a_refused_gpu_is_named_with_both_capabilities(monkeypatch: pytest.MonkeyPatch) -> None:
    assert check_gpu(monkeypatch, A10, **OLD) == (
        "GPUTooNew: A10 has compute capability 8.6, and this trainer image has code for 7.x at most."
    )


def test_an_image_without_cuda_and_a_node_without_gpu_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert check_gpu(monkeypatch, cuda=False).startswith("NoCUDABuild: train.gpus is 1, but TensorFlow 1.14.0")
    assert check_gpu(monkeypatch).startswith("GPUNotUsable: train.gpus is 1, but TensorFlow 1.14.0 finds no GPU")

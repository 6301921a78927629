"""The wrapper of the trainer, without TensorFlow: its lock, its signs of life, and done.json."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import pytest
from jsonschema import Draft202012Validator

from trcluster.waiting import until

PATIENCE = 120.0  # seconds for a start of Python on a busy machine
CONTRACTS = Path(__file__).parents[2] / "images" / "contracts"


def check(document: dict[str, Any], contract: str) -> None:
    schema = json.loads((CONTRACTS / f"{contract}.schema.json").read_text())
    Draft202012Validator(schema).validate(document)


def test_a_failed_fetch_ends_the_trainer_without_done_json(shared: Any) -> None:
    shared.write("fetch-failed.json", {"contractVersion": 1, "reason": "NotFound", "message": "no data"})
    code, log = shared.end_of(shared.start("train"), seconds=PATIENCE)
    assert code == 0, log
    assert not (shared.root / "done.json").exists()
    assert (shared.root / "trainer.started").exists()


def test_the_lock_is_held_from_before_trainer_started_until_the_end(shared: Any) -> None:
    process = shared.start("train")
    shared.wait_for("trainer.started", process, seconds=PATIENCE)
    with (shared.root / "trainer.lock").open() as handle:
        assert not is_free(handle)
        process.kill()
        process.wait(timeout=PATIENCE)
        # In a container the kernel ends all other processes with the first one.
        until(lambda: is_free(handle), what="the end of the trainer", seconds=PATIENCE, every=0.01)


def is_free(lock: IO[str]) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def test_signs_of_life_come_while_it_waits_and_sigterm_ends_the_wait(shared: Any) -> None:
    process = shared.start("train")
    shared.wait_for("progress.json", process, seconds=PATIENCE)
    progress = shared.read("progress.json")
    assert progress["peakMemoryBytes"] > 5 << 20
    check(progress, "shared-progress")
    assert progress["phase"] == "waiting"
    process.send_signal(signal.SIGTERM)
    code, log = shared.end_of(process, seconds=PATIENCE)
    assert code == 1, log
    done = shared.read("done.json")
    check(done, "shared-done")
    assert done["outcome"] == "interrupted"
    assert "_wait_for_spec" in (shared.root / "stacks.txt").read_text()


@pytest.mark.parametrize("command", ["train", "export"])
def test_an_image_without_tensorflow_says_so(shared: Any, command: str) -> None:
    shared.write("spec.json", {"contractVersion": 1})
    code, log = shared.end_of(shared.start(command), seconds=PATIENCE)
    assert code == 1
    done = shared.read("done.json")
    check(done, "shared-done")
    assert done["outcome"] == "crash"
    assert "tensorflow" in done["message"]
    assert "Traceback" in log


# As TensorFlow 1.14 and 1.15 print them on a GPU for which their CUDA has no code.
GPU_ERRORS = (
    "CUDNN_STATUS_INTERNAL_ERROR",
    "CUDNN_STATUS_ARCH_MISMATCH",
    "failed to run cuBLAS routine: CUBLAS_STATUS_EXECUTION_FAILED",
    "failed to create cublas handle: CUBLAS_STATUS_NOT_INITIALIZED",
    "Blas GEMM launch failed : a.shape=(1024, 6), b.shape=(6, 64), m=1024, n=64, k=6",
    "Blas xGEMMBatched launch failed : a.shape=[128,3,3]",
    "Attempting to perform BLAS operation using StreamExecutor without BLAS support",
    "Failed to get convolution algorithm. This is probably because cuDNN failed to initialize, so try looking",
    "CUDA runtime implicit initialization on GPU:0 failed. Status: device kernel image is invalid",
    "cudaLaunchKernel failed: no kernel image is available for execution on the device",
    "CUDA_ERROR_NO_BINARY_FOR_GPU: no kernel image",
    "cudaGetDevice() failed. Status: CUDA driver version is insufficient for CUDA runtime version",
)
GPU_MEMORY = (
    "failed to create cublas handle: CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
    "Dst tensor is not initialized.",
)


@pytest.mark.parametrize(
    ("error", "outcome", "reason"),
    [
        pytest.param(OSError(errno.ENOSPC, "x"), "diskFull", "DiskFull", id="ENOSPC"),
        pytest.param(RuntimeError("/m/x.tmp; No space left on device"), "diskFull", "DiskFull", id="disk full in TF"),
        pytest.param(MemoryError(), "outOfMemory", "OutOfMemory", id="host memory"),
        pytest.param(RuntimeError("OOM when allocating tensor"), "outOfMemory", "DeviceOutOfMemory", id="GPU memory"),
        pytest.param(RuntimeError("NaN loss during training."), "diverged", "Diverged", id="NaN"),
        pytest.param(RuntimeError("maximum box coordinate value is larger"), "userError", "BoxOutsideImage", id="box"),
        pytest.param(ValueError("Unable to decode bytes as JPEG"), "userError", "ImageUnreadable", id="image"),
        pytest.param(RuntimeError("Did not find any input files"), "userError", "RecordsUnreadable", id="no records"),
        pytest.param(RuntimeError("corrupted record at 12"), "userError", "RecordsUnreadable", id="damaged record"),
        pytest.param(TypeError("a bytes-like object is required"), "userError", "LabelMapRefused", id="label map"),
        pytest.param(ValueError("m is not a valid checkpoint"), "userError", "CheckpointUnreadable", id="checkpoint"),
        pytest.param(ValueError("Assign requires shapes"), "userError", "CheckpointMismatch", id="other classes"),
        *(pytest.param(RuntimeError(text), "gpuUnfit", "GPUUnfit", id=text[:40]) for text in GPU_ERRORS),
        *(pytest.param(RuntimeError(text), "outOfMemory", "DeviceOutOfMemory", id=text[:40]) for text in GPU_MEMORY),
        pytest.param(KeyError("what"), "crash", "Exception", id="anything else"),
    ],
)
def test_every_error_gets_an_outcome_and_a_reason(error: Exception, outcome: str, reason: str) -> None:
    from trainingrun_trainer.outcomes import classify

    document = classify(error).document()
    assert (document["outcome"], document["reason"]) == (outcome, reason)
    check({**document, "contractVersion": 1}, "shared-done")


def test_time_of_advance_moves_with_the_work_only(tmp_path: Path) -> None:
    from trainingrun_trainer.shared_folder import ProgressWriter, SharedFolder

    progress = ProgressWriter(SharedFolder(str(tmp_path)), interval=0.01)
    progress.advance(phase="training", step=3, loss=None)
    progress.start()
    progress.stop()
    first = json.loads((tmp_path / "progress.json").read_text())
    check(first, "shared-progress")
    assert (first["step"], "loss" in first) == (3, False)
    assert first["lastAdvance"] <= first["updated"]
    assert not list(tmp_path.glob("*.tmp"))


@pytest.fixture
def small_disk(shared: Any) -> Iterator[Path]:
    """The shared folder, on a file system of 256 KiB."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a file system")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(shared.root)], check=True)
    yield shared.root
    subprocess.run(["umount", "--lazy", str(shared.root)], check=True)


def fill(disk: Path) -> None:
    with contextlib.suppress(OSError), (disk / "checkpoint").open("wb", buffering=0) as file:
        while True:
            file.write(b"x" * 512)


def test_how_the_trainer_ends_is_reported_on_a_full_disk(shared: Any, small_disk: Path) -> None:
    (small_disk / "spec").write_text('{"contractVersion": 1}')
    process = shared.start("train")
    shared.wait_for("progress.json", process, seconds=PATIENCE)
    fill(small_disk)
    first = (small_disk / "progress.json").read_bytes()
    until(lambda: (small_disk / "progress.json").read_bytes() != first, what="a sign of life", seconds=PATIENCE)
    (small_disk / "spec").rename(small_disk / "spec.json")
    code, log = shared.end_of(process, seconds=PATIENCE)
    assert code == 1
    assert "No space left on device" in log
    done = shared.read("done.json")
    check(done, "shared-done")
    assert "tensorflow" in done["message"]
    assert not list(small_disk.glob("*.tmp"))


def test_a_disk_that_the_training_fills_is_a_full_disk_to_the_agent(
    small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from trainingrun_trainer import shared_folder, wrapper

    def work(_command: str, folder: Any, *_: Any) -> None:
        fill(small_disk)
        folder.write("ready/00000007.json", {"step": 7, "files": []})

    monkeypatch.setattr(wrapper, "_work", work)
    (small_disk / "ready").mkdir()
    folder = shared_folder.SharedFolder(str(small_disk))
    folder.reserve()
    assert wrapper.run("train", folder, threading.Event()) == 1
    document = json.loads((small_disk / "done.json").read_text())
    check(document, "shared-done")
    assert (document["outcome"], document["reason"]) == ("diskFull", "DiskFull")
    assert list((small_disk / "ready").iterdir()) == []


def test_a_disk_that_is_full_from_the_start_costs_no_report_as_long_as_there_is_room(tmp_path: Path) -> None:
    from trainingrun_trainer.shared_folder import SharedFolder

    folder = SharedFolder(str(tmp_path))
    folder.write_done({"outcome": "crash"})
    assert json.loads((tmp_path / "done.json").read_text()) == {"outcome": "crash", "contractVersion": 1}

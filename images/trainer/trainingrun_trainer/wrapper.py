"""The trainer's program: take the lock, wait for spec.json, work, write done.json, in a child process (log_copy.py).

Until the lock is held, only the standard library is imported: a trainer whose TensorFlow is broken can still report it.
"""

import argparse
import contextlib
import faulthandler
import os
import signal
import threading
import time
import traceback
from typing import Any, Dict, List, Optional

from trainingrun_trainer import cpu, log_copy, memory, shared_folder
from trainingrun_trainer.outcomes import TrainerError, classify
from trainingrun_trainer.shared_folder import ProgressWriter, SharedFolder

POLL_SECONDS = 0.2


def main(stop: threading.Event, argv: Optional[List[str]] = None) -> int:
    """Run one command in a child process; returns 0 when it succeeded or had nothing to do, else another number.

    SIGTERM sets `stop`, in this process and in the child.
    """
    arguments = _parser().parse_args(argv)
    folder = SharedFolder(arguments.shared)
    return log_copy.run(lambda: run(arguments.command, folder, stop), folder)


def run(command: str, folder: SharedFolder, stop: threading.Event) -> int:
    """Run one command in this process; returns 0 when it succeeded or had nothing to do, else 1."""
    faulthandler.enable()
    faulthandler.register(signal.SIGQUIT, all_threads=True)
    # SIGTERM also ends a trainer that hangs, even in C code; the stacks written here show where it hung.
    stacks = open(folder.path(shared_folder.STACKS), "w")  # noqa: SIM115 - open until the process ends
    faulthandler.register(signal.SIGTERM, file=stacks, all_threads=True, chain=True)
    folder.lock()
    folder.reserve()
    progress = ProgressWriter(folder, peak_memory=memory.peak_bytes)
    progress.start()
    try:
        done = _work(command, folder, progress, stop)
    except BaseException as error:  # noqa: BLE001 - done.json reports every end, also KeyboardInterrupt and SystemExit
        if not isinstance(error, TrainerError):
            traceback.print_exc()
        done = classify(error).document()
    progress.advance(phase="done")
    progress.stop()
    if done is None:
        print("Nothing to do: the agent could not download the data.", flush=True)
        return 0
    peak = memory.peak_bytes()
    if peak is not None:
        done["peakMemoryBytes"] = peak
    folder.write_done(done)
    print("{outcome}: {message}".format(**done), flush=True)
    return 0 if done["outcome"] == "succeeded" else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="trainingrun_trainer", description="Train or export in a shared folder.")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    commands.required = True
    for name, text in (("train", "train and evaluate"), ("export", "export, then test the exported graph")):
        sub = commands.add_parser(name, help=text)
        sub.add_argument("--shared", default="/shared", metavar="DIR", help="shared folder (default: %(default)s)")
    return parser


def _work(
    command: str, folder: SharedFolder, progress: ProgressWriter, stop: threading.Event
) -> Optional[Dict[str, Any]]:
    """Wait for the work and do it; returns the fields of done.json, None when the agent could not download the data."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
    cpu.check()
    importer = threading.Thread(target=_import_tensorflow, name="import", daemon=True)
    importer.start()  # importing TensorFlow takes seconds, so do it while the agent downloads
    progress.advance(phase="waiting")
    spec = _wait_for_spec(folder, progress, stop)
    importer.join()
    if spec is None:
        return None
    if stop.is_set():
        raise TrainerError("interrupted", "Terminated", "SIGTERM arrived before the work began.")
    if command == "train":
        from trainingrun_trainer.train import train

        return train(folder, spec, progress, stop)
    from trainingrun_trainer.export import export

    return export(folder, spec, progress, stop)


def _import_tensorflow() -> None:
    with contextlib.suppress(ImportError):  # importing it again in _work reports the error
        import tensorflow  # noqa: F401


def _wait_for_spec(folder: SharedFolder, progress: ProgressWriter, stop: threading.Event) -> Optional[Dict[str, Any]]:
    while True:
        if folder.read(shared_folder.FETCH_FAILED) is not None:
            return None
        spec = folder.read(shared_folder.SPEC)
        if spec is not None:
            return spec
        if stop.is_set():
            raise TrainerError("interrupted", "Terminated", "SIGTERM arrived while the trainer waited for its data.")
        progress.advance()
        time.sleep(POLL_SECONDS)

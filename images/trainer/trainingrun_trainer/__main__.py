"""`python3 -m trainingrun_trainer train|export --shared DIR`: lock, wait for the work, do it, say how it ended.

Standard library only until the lock is held, so that the agent learns of any end, also of a broken TensorFlow.
"""

import argparse
import contextlib
import faulthandler
import os
import signal
import sys
import threading
import time
import traceback

from trainingrun_trainer.outcomes import TrainerError, classify
from trainingrun_trainer.shared_folder import ProgressWriter, SharedFolder

POLL_SECONDS = 0.2


def main(argv=None):
    # type: (list or None) -> int
    """Run one command; returns 0 when the work succeeded or there was none."""
    arguments = _parser().parse_args(argv)
    folder = SharedFolder(arguments.shared)
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    faulthandler.enable()
    faulthandler.register(signal.SIGQUIT, all_threads=True)
    # A trainer that stalls is ended by SIGTERM: its stacks, written even when it hangs in C code, say where it hung.
    stacks = open(folder.path("stacks.txt"), "w")  # noqa: SIM115 - open until the process ends
    faulthandler.register(signal.SIGTERM, file=stacks, all_threads=True, chain=True)
    folder.lock()
    progress = ProgressWriter(folder)
    progress.start()
    try:
        done = _work(arguments.command, folder, progress, stop)
    except BaseException as error:  # noqa: BLE001 - every end is told, also KeyboardInterrupt and SystemExit
        if not isinstance(error, TrainerError):
            traceback.print_exc()
        done = classify(error).document()
    progress.advance(phase="done")
    progress.stop()
    if done is None:
        print("the agent could not fetch the data; nothing to do", flush=True)
        return 0
    folder.write("done.json", done)
    print("{outcome}: {message}".format(**done), flush=True)
    sys.stdout.flush()
    return 0 if done["outcome"] == "succeeded" else 1


def _parser():
    # type: () -> argparse.ArgumentParser
    parser = argparse.ArgumentParser(prog="trainingrun_trainer", description="Train or export in a shared folder.")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    commands.required = True
    for name, text in (("train", "train and evaluate"), ("export", "export, then prove the exported graph")):
        sub = commands.add_parser(name, help=text)
        sub.add_argument("--shared", default="/shared", metavar="DIR", help="shared folder (default: %(default)s)")
    return parser


def _work(command, folder, progress, stop):
    # type: (str, SharedFolder, ProgressWriter, threading.Event) -> dict or None
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
    importer = threading.Thread(target=_import_early, name="import", daemon=True)
    importer.start()  # TensorFlow loads while the agent fetches
    progress.advance(phase="waiting")
    spec = _wait_for_spec(folder, progress, stop)
    importer.join()
    if spec is None:
        return None
    if stop.is_set():
        raise TrainerError("interrupted", "Terminated", "SIGTERM before the work began.")
    if command == "train":
        from trainingrun_trainer.train import train

        return train(folder, spec, progress, stop)
    from trainingrun_trainer.export import export

    return export(folder, spec, progress, stop)


def _import_early():
    # type: () -> None
    with contextlib.suppress(ImportError):  # the real import tells the whole story
        import tensorflow  # noqa: F401


def _wait_for_spec(folder, progress, stop):
    # type: (SharedFolder, ProgressWriter, threading.Event) -> dict or None
    while True:
        if folder.read("fetch-failed.json") is not None:
            return None
        spec = folder.read("spec.json")
        if spec is not None:
            return spec
        if stop.is_set():
            raise TrainerError("interrupted", "Terminated", "SIGTERM came before there was anything to do.")
        progress.advance()
        time.sleep(POLL_SECONDS)


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # TensorFlow's threads may not end by themselves

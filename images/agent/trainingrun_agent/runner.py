"""Runs one command from its start to its verdict.

Invariant: however the command ends, a verdict is written, also for errors nobody thought of; only the KILL
signal can prevent it. The HTTP server answers before storage is touched.
"""

from __future__ import annotations

import importlib
import signal
import threading
import traceback
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from types import FrameType

from trainingrun_agent import config as configuration
from trainingrun_agent import verdict as verdicts
from trainingrun_agent.clock import Clock
from trainingrun_agent.config import Command, Paths
from trainingrun_agent.context import StageContext
from trainingrun_agent.disk_space import MORE_SPACE, is_disk_full
from trainingrun_agent.errors import DiskFull, Outcome, StageError
from trainingrun_agent.log import ProgressLines, logger
from trainingrun_agent.progress import Progress
from trainingrun_agent.redaction import redact
from trainingrun_agent.server import AgentServer, TrainerProbe
from trainingrun_agent.storage import guard
from trainingrun_agent.verdict import Timings, Verdict

StageMain = Callable[[StageContext], Verdict]

_STAGES: Mapping[Command, str] = {
    "prep": "trainingrun_agent.stages.prep",
    "train": "trainingrun_agent.stages.train",
    "export": "trainingrun_agent.stages.export",
    "mirror": "trainingrun_agent.mirror",
}
"""Imported when it is their turn: each command loads only what it needs."""


def run(command: Command, *, env: Mapping[str, str], paths: Paths, port: int, main: StageMain | None = None) -> int:
    """Run a command; returns the exit code, 0 only for `succeeded`. `main` replaces the stage's own."""
    stop = threading.Event()
    _on_signals(stop)
    progress = Progress(stage=command, pod_uid=env.get("POD_UID", ""))
    try:
        verdict = _work(command, env=env, paths=paths, port=port, main=main, stop=stop, progress=progress)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - here every error becomes a verdict
        verdict = _of_exception(error, command, progress)
    return _deliver(verdict, command, paths.termination_log)


def _work(
    command: Command,
    *,
    env: Mapping[str, str],
    paths: Paths,
    port: int,
    main: StageMain | None,
    stop: threading.Event,
    progress: Progress,
) -> Verdict:
    clock, probe = Clock(), TrainerProbe()
    with ExitStack() as stack:
        server = AgentServer(progress, probe, host="0.0.0.0", port=port)  # noqa: S104 - the pod's own address
        server.start()
        stack.callback(server.stop)
        lines = ProgressLines(progress, clock)
        lines.start()
        stack.callback(lines.stop)
        config = configuration.load(env, stage=command, paths=paths)
        resolved = config.resolved
        logger.info(
            "%s of TrainingRun %s/%s, attempt %d",
            command,
            resolved.run.namespace,
            resolved.run.name,
            config.attempt,
        )
        stack.enter_context(guard.against(resolved.storage.refused_networks))
        from trainingrun_agent.storage.stores import Stores

        stores = Stores(config, progress=progress, stop=stop, clock=clock)
        context = StageContext(config, stores.open, progress, stop, clock, probe, stores.open_quick)
        verdict = (main or _stage_main(command))(context)
        progress.update(phase="done")
    return verdict


def _stage_main(command: Command) -> StageMain:
    main: StageMain = importlib.import_module(_STAGES[command]).run
    return main


def _of_exception(error: BaseException, command: Command, progress: Progress) -> Verdict:
    known = progress.snapshot()
    return Verdict.of_error(
        _as_stage_error(error),
        stage=command,
        epoch=known.get("epoch"),
        timings=Timings(**known["timings"]) if "timings" in known else None,
    )


def _as_stage_error(error: BaseException) -> StageError:
    if isinstance(error, StageError):
        return error
    logger.error("unexpected error", exc_info=error)
    if isinstance(error, MemoryError):
        return StageError(
            Outcome.OUT_OF_MEMORY,
            "OutOfMemory",
            "the agent ran out of memory",
            "Raise the memory limit of the stage's agent container.",
        )
    if is_disk_full(error):
        filename = getattr(error, "filename", None)
        return DiskFull(f"no space left on the pod's scratch volume for {filename}", hint=MORE_SPACE)
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return StageError(
        Outcome.CRASH,
        "UnexpectedError",
        f"{type(error).__name__} at {Path(frame.filename).name}:{frame.lineno} in {frame.name}",
        "The traceback is in the log of container agent.",
    )


def _deliver(verdict: Verdict, command: Command, path: Path) -> int:
    verdict = replace(verdict, message=redact(verdict.message), hint=redact(verdict.hint))
    data = verdicts.encode(verdict)
    logger.info("verdict %s", data.decode())
    if command == "mirror":
        # Nobody reads a verdict of TensorBoard's mirror: its pod is simply restarted.
        return verdict.exit_code
    try:
        path.write_bytes(data)
    except OSError as error:
        logger.error("the verdict cannot be written to %s: %s", path, error.strerror)
    return verdict.exit_code


def _on_signals(stop: threading.Event) -> None:
    def handle(number: int, _frame: FrameType | None) -> None:  # noqa: ARG001 - the signature of signal
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, handle)

"""Runs one command from its start to its verdict.

Invariant: a verdict is written however the command ends, also after an unexpected error, and before the end of the
grace period if it hangs; only an earlier SIGKILL prevents it. The HTTP server answers before storage is touched, and
until the process ends, so that no probe of the kubelet fails.
"""

from __future__ import annotations

import importlib
import threading
import traceback
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path

from trainingrun_agent import config as configuration
from trainingrun_agent import early_stop
from trainingrun_agent import verdict as verdicts
from trainingrun_agent.attempt_record import AttemptRecord
from trainingrun_agent.clock import Clock
from trainingrun_agent.config import Command, Paths
from trainingrun_agent.context import StageContext
from trainingrun_agent.current_file import CurrentFile
from trainingrun_agent.disk_space import is_disk_full
from trainingrun_agent.errors import DiskFull, Interrupted, Outcome, StageError
from trainingrun_agent.kubelet_probes import KubeletProbes
from trainingrun_agent.log import ProgressLines, logger
from trainingrun_agent.own_thread import OwnThread
from trainingrun_agent.progress import Progress
from trainingrun_agent.reasons.pods import (
    AGENT_OUT_OF_MEMORY,
    PREP_OUT_OF_MEMORY,
    STOPPED_WHILE_HANGING,
    UNEXPECTED_ERROR,
)
from trainingrun_agent.server import AgentServer
from trainingrun_agent.storage import guard
from trainingrun_agent.terms import Terms
from trainingrun_agent.trainer_probe import TrainerProbe
from trainingrun_agent.verdict import StageResult, Verdict

StageMain = Callable[[StageContext], StageResult]
"""Does the work of a stage; raises StageError when it fails."""

_STAGES: Mapping[Command, str] = {
    "prep": "trainingrun_agent.stages.prep",
    "train": "trainingrun_agent.stages.train",
    "export": "trainingrun_agent.stages.export",
    "mirror": "trainingrun_agent.mirror",
}
"""Modules with a `run`, imported when they are needed: each command loads only its own."""
RESERVE_SECONDS = 7.0
"""Part of the grace period for the logs and the verdict of a stage that hangs; less than a stage's own reserve."""


def run(command: Command, *, env: Mapping[str, str], paths: Paths, port: int, main: StageMain | None = None) -> int:
    """Run a command; returns the exit code, 0 only for `succeeded`. `main` replaces the stage's own."""
    stop = threading.Event()
    early_stop.set_from_now_on(stop)
    clock = Clock()
    # The mirror is started again in the same pod, and leaves no verdict.
    current = CurrentFile(None if command == "mirror" else paths.termination_log)
    progress = Progress(stage=command, pod_uid=env.get("POD_UID", ""), current=current)
    record = AttemptRecord(clock, progress)
    with ExitStack() as serving:

        def work() -> StageResult:
            probe = _serve(command, progress, stop=stop, clock=clock, port=port, until_end=serving)
            return _work(
                command, env=env, paths=paths, main=main, stop=stop, progress=progress, record=record, probe=probe
            )

        thread = OwnThread(lambda: conclude(work, stage=command, record=record))
        verdict = thread.result(stop, lambda: record.grace_seconds - RESERVE_SECONDS)
        if verdict is None:
            hung = Interrupted(STOPPED_WHILE_HANGING, phase=progress.snapshot()["phase"])
            verdict = _failed(hung, command, record)
        current.close()
        return _deliver(verdict, record, paths.termination_log)


def conclude(work: Callable[[], StageResult], *, stage: Command, record: AttemptRecord) -> Verdict:
    """Do the work of a stage and make the verdict, whether it returns or raises."""
    try:
        return _succeeded(work(), stage, record)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - every error becomes a verdict here
        failure = _as_stage_error(error, stage)
    try:
        return _failed(failure, stage, record)
    except Exception as error:  # a message that does not fit its values is an error too  # noqa: BLE001
        return _failed(_as_stage_error(error, stage), stage, record)


def _succeeded(result: StageResult, stage: Command, record: AttemptRecord) -> Verdict:
    return Verdict(
        stage,
        Outcome.SUCCEEDED,
        result.entry.name,
        result.message,
        epoch=record.epoch,
        numbers=record.numbers,
        timings=record.timings,
    )


def _failed(error: StageError, stage: Command, record: AttemptRecord) -> Verdict:
    return Verdict.failed(
        error, stage=stage, terms=record.terms, epoch=record.epoch, numbers=record.numbers, timings=record.timings
    )


def _serve(
    command: Command, progress: Progress, *, stop: threading.Event, clock: Clock, port: int, until_end: ExitStack
) -> TrainerProbe:
    """Serve until the end of the process, and let it end only when the kubelet sends no probe."""
    trainer = TrainerProbe()
    kubelet = KubeletProbes(clock, trainer)
    server = AgentServer(progress, trainer, kubelet, host="0.0.0.0", port=port)  # noqa: S104 - the pod's own address
    server.start()
    until_end.callback(server.stop)

    def wait() -> None:
        if not stop.is_set():  # the kubelet probes no pod that it is ending, and the grace period is short
            kubelet.wait_until_none_is_due()

    if command != "mirror":  # the mirror has no probe
        until_end.callback(wait)
    return trainer


def _work(
    command: Command,
    *,
    env: Mapping[str, str],
    paths: Paths,
    main: StageMain | None,
    stop: threading.Event,
    progress: Progress,
    record: AttemptRecord,
    probe: TrainerProbe,
) -> StageResult:
    clock = record.clock
    with ExitStack() as stack:
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
        record.terms = Terms(values=resolved.field_values)
        record.grace_seconds = config.grace_seconds
        stack.enter_context(guard.refuse_connections(resolved.storage.refused_networks))
        from trainingrun_agent.storage.stores import Stores
        from trainingrun_agent.transfer.ship_logs import ship_logs

        stores = Stores(config, progress=progress, stop=stop, clock=clock)
        if command != "mirror":
            record.ship_logs = partial(ship_logs, config, partial(stores.open_impatient, resolved.storage.bucket))
        context = StageContext(config, stores.open, progress, stop, clock, record, probe, stores.open_quick)
        stack.callback(partial(progress.update, phase="done"))
        if command != "mirror":
            stack.enter_context(stores.heartbeat())
        result = (main or _stage_main(command))(context)
        progress.finished()
        return result


def _stage_main(command: Command) -> StageMain:
    main: StageMain = importlib.import_module(_STAGES[command]).run
    return main


def _as_stage_error(error: BaseException, stage: Command) -> StageError:
    if isinstance(error, StageError):
        return error
    logger.error("unexpected error", exc_info=error)
    if isinstance(error, MemoryError):
        # Beside a trainer the agent has a limit of its own, which no field of the spec changes.
        return StageError(PREP_OUT_OF_MEMORY if stage == "prep" else AGENT_OUT_OF_MEMORY)
    if is_disk_full(error):
        return DiskFull(what=getattr(error, "filename", None))
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return StageError(
        UNEXPECTED_ERROR,
        kind=type(error).__name__,
        file=Path(frame.filename).name,
        line=frame.lineno,
        function=frame.name,
    )


def _deliver(verdict: Verdict, record: AttemptRecord, path: Path) -> int:
    logger.info("verdict %s", verdicts.encode(verdict).decode())
    if verdict.stage == "mirror":
        # Nobody reads a verdict of the TensorBoard mirror: the kubelet restarts its container.
        return verdict.exit_code
    verdict = replace(verdict, logs_uri=record.ship_logs())
    try:
        path.write_bytes(verdicts.encode(verdict))
    except OSError as error:
        logger.error("the verdict cannot be written to %s: %s", path, error.strerror)
        if is_disk_full(error) and verdict.outcome is not Outcome.SUCCEEDED:  # success is in the bucket: try again
            return verdicts.EXIT_NO_SPACE
    return verdict.exit_code

"""A fake trainer: it keeps the contract of the shared folder without TensorFlow, and fails as its plan says.

Arguments: the shared folder, and a plan as JSON. Keys of the plan, all optional: steps, save_every,
seconds_per_step, evaluation_seconds (at each save; by default none), die_at (SIGKILL to itself), freeze_at (SIGSTOP to
itself), hang_at (signs of life, no progress), keep (checkpoints kept), done (outcome when finished; null writes no
done.json), message (of the outcome), export (names of files to export), metrics (text of metrics.json), export_seconds,
early (outcome written before spec.json exists), restored (reported by a training that does not resume), scores (mAP by
step as text: written to evaluations.json when that step is saved), stop (step and stoppedBy of an early end), older
(ignores finish, as trainers of earlier releases do), peak_memory (bytes). On SIGUSR1 it allocates memory until it is
killed. trdemo/trainer_stand_in.py makes it the trainer of real pods.
"""

import faulthandler
import fcntl
import json
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any, NoReturn

SHARED = Path(sys.argv[1])
PLAN = json.loads(sys.argv[2])
STATE: dict[str, Any] = {"phase": "importing", "lastAdvance": time.time()}
STOP = threading.Event()
EVALUATIONS: list[dict[str, Any]] = []


def write(path: Path, document: dict[str, Any]) -> None:
    temporary = path.with_name(f".{path.name}.{threading.get_ident()}")
    temporary.write_text(json.dumps(document))
    temporary.rename(path)


def report_progress() -> None:
    write(SHARED / "progress.json", {"contractVersion": 1, "updated": time.time(), **STATE})


def signs_of_life() -> None:
    while True:
        report_progress()
        time.sleep(0.05)


def advance(**fields: Any) -> None:
    STATE.update(fields, lastAdvance=time.time())


def done(outcome: str, **fields: Any) -> NoReturn:
    message = PLAN.get("message", f"the plan says {outcome}")
    document = {"contractVersion": 1, "reason": "ByPlan", "message": message, "outcome": outcome}
    report_progress()
    write(SHARED / "done.json", document | fields)
    sys.exit(0 if outcome == "succeeded" else 1)


def save(step: int) -> None:
    model = SHARED / "model"
    files = {
        f"model.ckpt-{step}.index": b"i" * 64,
        f"model.ckpt-{step}.data-00000-of-00001": bytes([step % 251]) * 40_000,
    }
    for name, data in files.items():
        (model / name).write_bytes(data)
    entries = [{"name": name, "size": len(data)} for name, data in files.items()]
    (SHARED / "ready").mkdir(exist_ok=True)
    write(SHARED / "ready" / f"{step:08d}.json", {"contractVersion": 1, "step": step, "files": entries})
    kept = sorted(model.glob("model.ckpt-*.index"), key=lambda path: int(path.name.split("-")[1].split(".")[0]))
    for index in kept[: -PLAN.get("keep", 5)]:
        for path in model.glob(f"{index.stem}.*"):
            path.unlink()


def evaluate(step: int) -> None:
    if str(step) in PLAN.get("scores", {}):
        score = PLAN["scores"][str(step)]
        EVALUATIONS.append({"step": step, "mAP": score, "ap50": score})
        write(SHARED / "evaluations.json", {"contractVersion": 1, "evaluations": EVALUATIONS})
        advance(best=max(EVALUATIONS, key=lambda one: one["mAP"]))
    if "evaluation_seconds" in PLAN:
        for image in range(11):
            advance(phase="evaluating", done=image, total=10)
            time.sleep(PLAN["evaluation_seconds"] / 11)


def last_step(spec: dict[str, Any], resumed_from: int) -> tuple[int, str]:
    """The step to train to, and why it is not the last one."""
    steps = PLAN.get("steps", spec["steps"])
    if spec.get("finish") and not PLAN.get("older"):
        return max(1, resumed_from), "finish"
    stop = PLAN.get("stop")
    return (stop["step"], stop["by"]) if stop else (steps, "")


def train(spec: dict[str, Any]) -> None:
    model = SHARED / "model"
    state = model / "checkpoint"
    step = int(state.read_text().split('"')[1].rpartition("-")[2]) if state.exists() else 0
    steps, stopped_by = last_step(spec, step)
    if "restored" in PLAN and step == 0:
        advance(phase="building", restored=PLAN["restored"])
    (model / "eval_0").mkdir(parents=True, exist_ok=True)
    name = f"events.out.tfevents.{int(time.time())}.{os.getpid()}"
    with (model / name).open("ab", buffering=0) as events, (model / "eval_0" / name).open("ab", buffering=0) as evals:
        while step < steps:
            if STOP.is_set():
                save(step)
                done("interrupted", step=step)
            step += 1
            time.sleep(PLAN.get("seconds_per_step", 0.002))
            advance(phase="training", step=step, done=step, total=steps, loss=1.0 / step)
            events.write(b"%08d" % step * 100)
            if step == PLAN.get("die_at"):
                report_progress()  # so that the last step is known
                os.kill(os.getpid(), signal.SIGKILL)
            if step == PLAN.get("freeze_at"):
                os.kill(os.getpid(), signal.SIGSTOP)
            while step == PLAN.get("hang_at") and not STOP.is_set():
                time.sleep(0.05)
            if step % PLAN.get("save_every", 10) == 0 or step == steps:
                save(step)
                evals.write(b"e" * 1000)
                evaluate(step)
                advance(phase="training", done=step, total=steps)
    advance(phase="done", ap50=0.9, mAP=0.6)
    outcome = PLAN.get("done", "succeeded")
    if outcome:
        more = {"stoppedBy": stopped_by} if stopped_by else {}
        more |= {"peakMemoryBytes": PLAN["peak_memory"]} if "peak_memory" in PLAN else {}
        done(outcome, step=step, loss=0.1, ap50=0.9, mAP=0.6, **more)


def export(spec: dict[str, Any]) -> None:
    advance(phase="exporting")
    time.sleep(PLAN.get("export_seconds", 0))
    root = SHARED / "export"
    for name in PLAN["export"]:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(name.encode() * 10)
    if "metrics" in PLAN:
        (root / "metrics.json").write_text(PLAN["metrics"])
    done("succeeded", step=spec["checkpointStep"], ap50=0.8, mAP=0.5, evalImages=20)


def allocate_forever(*_: object) -> NoReturn:
    held = []
    while True:
        held.append(b"x" * (1 << 24))


def main() -> None:
    signal.signal(signal.SIGUSR1, allocate_forever)
    signal.signal(signal.SIGTERM, lambda *_: STOP.set())
    faulthandler.register(signal.SIGTERM, file=(SHARED / "stacks.txt").open("w"), all_threads=True, chain=True)
    with (SHARED / "trainer.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        (SHARED / "trainer.started").touch()
        threading.Thread(target=signs_of_life, daemon=True).start()
        if PLAN.get("early"):
            done(PLAN["early"])
        advance(phase="waiting")
        while True:
            if STOP.is_set() or (SHARED / "fetch-failed.json").exists():
                return
            if (SHARED / "spec.json").exists():
                break
            time.sleep(0.02)
        advance(phase="building")
        spec = json.loads((SHARED / "spec.json").read_text())
        if spec["stage"] == "export":
            export(spec)
        else:
            train(spec)


main()

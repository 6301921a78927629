"""Take a run through its faults, one after the other, and to its end; every promise is checked on the way.

Invariant: a fault in training hits an attempt of which a checkpoint was uploaded since the previous fault was over.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

from trchaosnode import moment
from trchaosnode.hit import Hit, Outcome, require
from trchaosnode.injections import INJECT
from trchaosnode.kinds import Kind, Stage
from trchaosnode.moment import Moment
from trchaosnode.plan import Fault, PlannedRun
from trchaosnode.world import World
from trcluster.command import CommandError
from trcluster.waiting import until
from trdemo import stored_run
from trdemo.fault_scenario import FaultScenario, entry_of, succeeded
from trdemo.installation import Object

SAVE_EVERY: Final = 20
STEPS: Final = 100_000
"""More than there is time for: after its last fault, a run is asked to finish."""
SECONDS: Final = 600.0
"""Bound of each wait: a lost node takes 310 s, and every start of TensorFlow on busy cores one minute."""
EXPORT_SECONDS: Final = 3
"""Faults in export come up to so many seconds after the start of its work."""


class StoppedError(Exception):
    """Another run has broken a promise, so this one is not continued."""


class SufferingRun:
    """A run and its faults; `outcomes` says what each fault that is over has cost."""

    def __init__(self, world: World, planned: PlannedRun, run: Object) -> None:
        self._world, self._planned = world, planned
        self.scenario = FaultScenario(world.faults, run, seconds=SECONDS)
        self.outcomes: list[Outcome] = []
        self._uploaded = 0
        self._has_begun = self._asked_to_finish = False

    def go(self) -> None:
        """Apply the run, inject its faults and wait for its end. Raises BrokenPromiseError."""
        nodes_lost = self._world.nodes_lost
        for fault in self._planned.faults:
            if fault.stage is Stage.EXPORT:
                self._finish()
            with self._world.turns.of(fault):
                if self._world.failed.is_set():
                    raise StoppedError(self._planned.name)
                self._begin()  # in the turn of its first fault: while that waited, a preparation would end
                outcome = self._in_training(fault) if fault.stage is Stage.TRAIN else self._beside_training(fault)
            self.outcomes.append(outcome)
            self._world.echo(str(outcome))
        self._finish()
        self._check_end(self.scenario.finished(), nodes_lost=self._world.nodes_lost - nodes_lost)

    def _in_training(self, fault: Fault) -> Outcome:
        """Inject a fault into the attempt that trains."""
        hit = self._aim(fault)
        before, began = moment.read(hit.worker, uploaded=self._uploaded), time.monotonic()
        require(
            before.step - before.newest <= SAVE_EVERY,
            f"{self.scenario.name}: step {before.step} has no newer checkpoint than that of step {before.newest}",
        )
        INJECT[fault.kind](self._world, hit)
        lost, bound, ended = self._resumed(hit, before) if fault.effect.outcome else self._went_on(hit, before)
        return Outcome(self.scenario.name, fault, time.monotonic() - began, ended, lost, bound, before)

    def _aim(self, fault: Fault) -> Hit:
        """Wait for the fault's moment: so many steps after a checkpoint, once another one is in the bucket."""
        scenario, faults = self.scenario, self._world.faults
        found = until(self._training, what=f"{scenario.name} to train", seconds=SECONDS, not_yet=(CommandError,))
        assert found is not None
        attempt, pod = found
        agent, worker = (faults.process(pod, name, seconds=SECONDS) for name in ("agent", "trainer"))

        def reached(step: float) -> bool:
            return moment.read(worker, uploaded=self._uploaded).step >= step

        until(lambda: reached(1), what=f"a step of {scenario.name}", seconds=SECONDS, not_yet=(FileNotFoundError,))
        ready = moment.read(worker, uploaded=self._uploaded)
        self._uploaded = scenario.checkpoint_beyond(max(ready.newest, self._uploaded))
        step = moment.read(worker, uploaded=self._uploaded).step
        aim = (step // SAVE_EVERY + 1 + fault.part) * SAVE_EVERY
        until(lambda: reached(aim), what=f"step {aim:.0f} of {scenario.name}", seconds=SECONDS, every=0.02)
        return Hit(fault, scenario, attempt, pod, agent, worker)

    def _training(self) -> tuple[int, Object] | None:
        """The attempt that trains and its pod; None while there is none, as after the loss of a node."""
        attempt = int(entry_of(self.scenario.status(), "train").get("number", 0))
        selector = f"trainingrun.dev/run={self.scenario.name},trainingrun.dev/stage=train"
        kubectl, namespace = self._world.faults.installation.target.kubectl, self._world.faults.namespace
        for pod in kubectl.get("pods", namespace=namespace, selector=selector)["items"]:
            meta = pod["metadata"]
            newest = meta["labels"]["trainingrun.dev/attempt"] == str(attempt)
            if newest and "deletionTimestamp" not in meta and pod["status"]["phase"] == "Running":
                return attempt, pod
        return None

    def _resumed(self, hit: Hit, before: Moment) -> tuple[int, int, str]:
        """Wait until the next attempt trains; returns the lost steps, their bound and how the hit attempt ended."""
        step = self._resumed_from(hit.attempt + 1)
        least, effect = before.least(hit.fault.effect.loss), hit.fault.effect
        name = f"{self.scenario.name}, {hit.fault} at step {before.step}"
        require(step >= least, f"{name}: resumed from step {step}, but step {least} was saved: {before}")
        status = self.scenario.until(
            lambda s: entry_of(s, "train")["number"] == hit.attempt + 1 and _trains_from(s, step),
            f"the status of attempt {hit.attempt + 1}, which resumed from step {step},",
        )
        entry = entry_of(status, "train")
        require(entry["lastOutcome"] == effect.outcome, f"{name}: ended as {entry}")
        self._uploaded = step
        return max(0, before.step - step), before.step - least, f"{effect.outcome} ({entry['lastReason']})"

    def _resumed_from(self, attempt: int) -> int:
        """Wait for the record of an attempt in the bucket, which is older and surer than the status."""
        scenario, bucket = self.scenario, self._world.faults.installation.bucket
        uid, prefix = scenario.pod("train", attempt)["metadata"]["uid"], stored_run.prefix_of(scenario.status())
        what = f"attempt {attempt} of {scenario.name} to record"
        epoch = until(lambda: stored_run.epoch_of(bucket, prefix, uid), what=f"{what} its epoch", seconds=SECONDS)
        assert epoch is not None
        # A step as a list, because step 0 counts too.
        found = until(
            lambda: [each for each in [stored_run.resumed_from(bucket, prefix, epoch)] if each is not None],
            what=f"{what} the step that it resumed from",
            seconds=SECONDS,
        )
        return found[0]

    def _went_on(self, hit: Hit, before: Moment) -> tuple[int, int, str]:
        """Wait until the same pod has uploaded a checkpoint that it had not at the fault."""
        self._uploaded = self.scenario.checkpoint_beyond(before.newest)
        entry = entry_of(self.scenario.status(), "train")
        name = f"{self.scenario.name}, {hit.fault} at step {before.step}"
        require(entry["number"] == hit.attempt, f"{name} ended attempt {hit.attempt}: {entry}")
        require(Path(f"/proc/{hit.worker}").exists(), f"{name} ended the trainer")
        return 0, 0, ""

    def _beside_training(self, fault: Fault) -> Outcome:
        """Inject a fault that ends an attempt of prep or export."""
        scenario, faults, stage = self.scenario, self._world.faults, str(fault.stage)
        attempt = int(entry_of(scenario.status(), stage).get("ended", 0)) + 1
        pod = scenario.pod(stage, attempt)
        if fault.stage is Stage.EXPORT:
            worker, agent = faults.at_work(pod, "exporter"), faults.process(pod, "agent")
            time.sleep(fault.part * EXPORT_SECONDS)
        else:
            worker, agent = 0, faults.process(pod, "agent", seconds=SECONDS)
        began = time.monotonic()
        INJECT[fault.kind](self._world, Hit(fault, scenario, attempt, pod, agent, worker))
        entry = scenario.ended(stage, attempt)
        require(entry["lastOutcome"] == fault.effect.outcome, f"{scenario.name}, {fault}: ended as {entry}")
        ended = f"{entry['lastOutcome']} ({entry['lastReason']})"
        return Outcome(scenario.name, fault, time.monotonic() - began, ended)

    def _begin(self) -> None:
        if not self._has_begun:
            self.scenario.begin()
        self._has_begun = True

    def _finish(self) -> None:
        """Ask the run, which trains, to end training at the step that it has reached."""
        self._begin()
        if not self._asked_to_finish:
            self.scenario.step_beyond(0)
            kubectl, namespace = self._world.faults.installation.target.kubectl, self._world.faults.namespace
            patch = ["--type=merge", "-p", '{"spec":{"finish":true}}']
            kubectl("patch", "trainingrun", self.scenario.name, "-n", namespace, *patch)
        self._asked_to_finish = True

    def _check_end(self, status: Object, *, nodes_lost: int) -> None:
        """The run has succeeded, its objects are whole, and no attempt ended without a fault."""
        name = self.scenario.name
        require(succeeded(status), f"{name} did not succeed: {status.get('message')}")
        wrong = self.scenario.wrong_objects()
        require(not wrong, f"{name}: {wrong}")
        for stage in Stage:
            hits = [one for one in self._planned.faults if one.stage is stage and one.effect.outcome]
            own_losses = sum(one.kind is Kind.NODE_LOST for one in hits)
            expected = 1 + len(hits) + (stage is Stage.TRAIN)  # the attempt that is told to finish
            found = int(entry_of(status, stage)["number"])
            most = expected + nodes_lost - own_losses
            require(
                expected <= found <= most,
                f"{name}: {found} attempts of {stage}, expected {expected} to {most}: {status}",
            )


def _trains_from(status: Object, step: int) -> bool:
    """Whether a status says that training has resumed from a step and gone on."""
    training = status.get("training", {})
    return bool(training.get("resumedFromStep") == step and training.get("step", 0) > step)

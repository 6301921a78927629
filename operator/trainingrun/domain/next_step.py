"""The step that helps after a run has failed: which kind it is, in words and as commands.

Invariant: a step that is offered can be taken. Raising `spec.retry` is offered where the same spec can end otherwise;
else the commands that create a new run, because the spec cannot change.
"""

from __future__ import annotations

from dataclasses import dataclass

from trainingrun.api.reason import Step
from trainingrun.api.run import Run


@dataclass(frozen=True, slots=True)
class NextStep:
    """What the user has to do, in words; `kind` decides which commands follow."""

    kind: Step
    hint: str = ""


def commands(run: Run, step: NextStep) -> str:
    """Return the commands that the message of a failed run ends with."""
    if step.kind is Step.NEW_RUN:
        get = f"kubectl -n {run.namespace} get trainingrun {run.name} -o yaml | grep -v resourceVersion: > new.yaml"
        edit = "edit metadata.name and the fields there"
        return f"To create the new run: (1) {get} (2) {edit} (3) kubectl create -f new.yaml"
    again = int(run.spec.get("retry", 0)) + 1
    patch = f"kubectl -n {run.namespace} patch trainingrun {run.name} --type merge"
    before = "After that, try again" if step.kind is Step.PLATFORM else "To try again"
    return f'{before}: {patch} -p \'{{"spec":{{"retry":{again}}}}}\''

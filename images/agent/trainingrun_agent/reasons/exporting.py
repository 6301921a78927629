"""Reasons that the choice of a checkpoint and the gate give (spec.export)."""

from __future__ import annotations

from trainingrun_agent.reasons.entry import Outcome, Reason, Step

EXPORT_CHECKPOINT_NOT_FOUND = Reason(
    "ExportCheckpointNotFound",
    Outcome.USER_ERROR,
    Step.NEW_RUN,
    message="{field[export.checkpoint]}: the bucket has no usable checkpoint of step {step}; there are those of the"
    " steps {there}",
    hint="{change[export.checkpoint]}: best, latest, or a step that is there. Checkpoints that"
    " {field[train.keepCheckpoints]} does not keep are deleted; the one that {field[export.checkpoint]} names stays.",
    meaning="The step that export.checkpoint names has no checkpoint in the bucket, or it is damaged: no checkpoint was"
    " saved at this step.",
    fields=("export.checkpoint", "train.keepCheckpoints"),
)
EXPORT_CHECKPOINT_NEVER_SAVED = EXPORT_CHECKPOINT_NOT_FOUND.case(
    message="{field[export.checkpoint]}: no checkpoint will be saved at step {step}, only every {every} steps up to"
    " {steps}",
    hint="{change[export.checkpoint]}: best, latest, or a step at which a checkpoint is saved; or another"
    " {field[train.saveEverySteps]}.",
    fields=("export.checkpoint", "train.saveEverySteps"),
)
GATE_CLASS_UNKNOWN = Reason(
    "GateClassUnknown",
    Outcome.USER_ERROR,
    Step.NEW_RUN,
    message="{field[export.gate.perClass]} names {names}, which {field[dataset.classes]} does not have",
    hint="Class names are case-sensitive: {change[export.gate.perClass]}.",
    meaning="The gate has a score to reach for a class that the detector does not learn.",
    fields=("export.gate.perClass", "dataset.classes"),
)

"""Whose word counts when an attempt has ended: its agent's verdict, or what Kubernetes recorded of pod and Job.

A verdict is a claim about the agent's own pod: a container that was killed for memory can leave exit code 0, and an
agent that is asked to end does not know by whom, or why. ROWS are the facts that overrule a verdict, in their order;
the first one that applies decides. Without one, the verdict counts. The table is in docs/architecture.md.

Invariant: nothing overrules `succeeded`, because the result of the stage is in the bucket then.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from trainingrun.api import reasons
from trainingrun.api.reason import Reason
from trainingrun.domain import end_facts
from trainingrun.domain.end_facts import Facts, Found
from trainingrun.domain.observe import JobView, PodView
from trainingrun.domain.texts import sentences
from trainingrun.domain.verdicts import Outcome, Verdict, parse_verdict


@dataclass(frozen=True, slots=True)
class Row:
    """A fact that overrules some verdicts: `find` returns the reason and the message if the fact is there.

    All but `find` are columns of the table in the documentation. None in `overrules` is an agent without a verdict;
    without `reasons`, the verdict keeps its own reason and next step.
    """

    fact: str
    overrules: frozenset[Outcome | None]
    outcome: Outcome
    reasons: tuple[Reason, ...]
    find: Callable[[Facts], Found]


def judge(job: JobView | None, pod: PodView | None) -> Verdict:
    """Return how an attempt ended, from its agent's verdict and from what Kubernetes recorded."""
    if pod is None:
        return _without_pod(job)
    claim = parse_verdict(pod.agent.message) if pod.agent.state == "terminated" else None
    return explain(Facts(job, pod, claim))


def explain(facts: Facts) -> Verdict:
    """Return the verdict of the first row that applies, else the one that is claimed."""
    claim = facts.claim
    for row in ROWS:
        found = row.find(facts) if (claim and claim.outcome) in row.overrules else None
        if found is not None:
            return _verdict(row.outcome, *found, claim=claim)
    assert claim is not None, "the last row explains every end without a verdict"
    return claim


def _verdict(outcome: Outcome, reason: Reason, message: str, *, claim: Verdict | None) -> Verdict:
    """Keep the agent's numbers, and where it was when it was asked to end."""
    if claim is None:
        return Verdict(outcome, reason, message)
    if reason is claim.reason:
        return replace(claim, message=message)
    position = claim.message if claim.outcome is Outcome.INTERRUPTED else ""
    return Verdict(
        outcome,
        reason,
        sentences(message, position),
        numbers=claim.numbers,
        timings=claim.timings,
        logs_uri=claim.logs_uri,
    )


def _without_pod(job: JobView | None) -> Verdict:
    """Return the end of an attempt of which at most the Job is left."""
    if job is None or job.deleting:
        return Verdict(Outcome.INTERRUPTED, reasons.JOB_GONE, "The attempt's Job was deleted.")
    if job.failure == reasons.DEADLINE_EXCEEDED.name:
        return Verdict(Outcome.INTERRUPTED, reasons.DEADLINE_EXCEEDED, end_facts.deadline_of(f"Job {job.name}"))
    message = (
        f"The pod of Job {job.name} was removed before the operator saw its end: its node was drained or removed, or "
        "somebody deleted it."
        if job.pod_ended
        else f"Job {job.name} ended, and the operator saw no pod of it."
    )
    return Verdict(Outcome.INTERRUPTED, reasons.POD_GONE, message)


_ANY: Final = frozenset((*Outcome, None)) - {Outcome.SUCCEEDED}
_VAGUE: Final = frozenset((Outcome.INTERRUPTED, Outcome.CRASH, None))
_UNEXPLAINED: Final = frozenset((Outcome.CRASH, None))
_CRASH: Final = frozenset((Outcome.CRASH,))
_NONE: Final = frozenset((None,))
ROWS: Final = (
    Row(
        "the pod is `Evicted` for a limit of its own: its scratch, another volume, its containers",
        _ANY,
        Outcome.DISK_FULL,
        (reasons.SCRATCH_FULL,),
        end_facts.own_limit,
    ),
    Row(
        "a container is `OOMKilled`",
        _UNEXPLAINED,
        Outcome.OUT_OF_MEMORY,
        (reasons.OOM_KILLED,),
        end_facts.out_of_memory,
    ),
    Row(
        "the pod is `Evicted` otherwise: its node is short of memory or disk",
        _VAGUE,
        Outcome.INTERRUPTED,
        (reasons.EVICTED,),
        end_facts.evicted,
    ),
    Row("the node gave the pod this reason", _VAGUE, Outcome.INTERRUPTED, tuple(end_facts.BY_NODE), end_facts.by_node),
    Row(
        "the pod's condition `DisruptionTarget` has this reason",
        _VAGUE,
        Outcome.INTERRUPTED,
        end_facts.CONDITIONS,
        end_facts.disrupted,
    ),
    Row(
        "the pod or Job ended at a deadline that is not the operator's",
        _VAGUE,
        Outcome.INTERRUPTED,
        (reasons.DEADLINE_EXCEEDED,),
        end_facts.deadline,
    ),
    Row(
        "the pod was deleted, with its Job or without",
        _VAGUE,
        Outcome.INTERRUPTED,
        (reasons.JOB_GONE, reasons.POD_DELETED),
        end_facts.deleted,
    ),
    Row(
        "the pod has failed with a reason, and no container of it has started",
        _NONE,
        Outcome.INTERRUPTED,
        (reasons.REFUSED_BY_NODE,),
        end_facts.refused,
    ),
    Row(
        "a container is `ContainerStatusUnknown`",
        _UNEXPLAINED,
        Outcome.INTERRUPTED,
        (reasons.CONTAINER_STATUS_UNKNOWN,),
        end_facts.unknown,
    ),
    Row(
        "the trainer or exporter ended by SIGKILL (137) before it began to work",
        _CRASH,
        Outcome.OUT_OF_MEMORY,
        (reasons.OOM_KILLED,),
        end_facts.killed_at_start,
    ),
    Row(
        "the trainer or exporter ended by SIGILL (132)",
        _CRASH,
        Outcome.USER_ERROR,
        (reasons.ILLEGAL_INSTRUCTION,),
        end_facts.illegal_instruction,
    ),
    Row(
        "the trainer or exporter ended without a word: exit code and signal are added",
        _CRASH,
        Outcome.CRASH,
        (),
        end_facts.silent_death,
    ),
    Row(
        "the agent ended with exit code 28",
        _NONE,
        Outcome.DISK_FULL,
        (reasons.NODE_DISK_FULL,),
        end_facts.node_disk_full,
    ),
    Row("the agent ended otherwise", _NONE, Outcome.CRASH, (reasons.NO_VERDICT,), end_facts.no_verdict),
)

"""Facts about the end of an attempt, as Kubernetes records them; judge.py says which of them count for more.

Each function returns the reason and the message for one kind of fact, or None if the fact is not there.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from trainingrun.api import reasons
from trainingrun.api.names import AGENT, WORKER, Stage
from trainingrun.api.reason import Reason
from trainingrun.domain.deaths import SIGILL, SIGKILL, exit_of
from trainingrun.domain.observe import ContainerView, JobView, PodView
from trainingrun.domain.texts import sentences
from trainingrun.domain.verdicts import MAX_VERDICT_BYTES, Verdict

EXIT_NO_SPACE: Final = 28  # of an agent whose termination message did not fit on the node's disk (ENOSPC)
DIED: Final = {"TrainerDied", "ExporterDied"}  # of an agent that saw only that the container beside it has ended
_READING: Final = re.compile(r"reading (.*\S) *")
# The kubelet's words for limits of the pod itself; those for a shortage of the node begin with "The node".
_OWN_LIMITS: Final = (
    (re.compile(r'Usage of EmptyDir volume "shared" exceeds the limit'), reasons.SCRATCH_FULL),
    (re.compile(r"Usage of EmptyDir volume \S+ exceeds the limit"), reasons.SCRATCH_FULL_ELSEWHERE),
    (
        re.compile(r"Pod ephemeral local storage usage exceeds the total limit|Container \S+ exceeded its local"),
        reasons.SCRATCH_FULL_OF_CONTAINERS,
    ),
)
BY_NODE: Final = {
    reasons.PREEMPTING: "was ended by its node",
    reasons.TERMINATED: "was ended by its node",
    reasons.SHUTDOWN: "was ended by its node",
    reasons.NODE_SHUTDOWN: "was refused by its node",
    reasons.NODE_LOST: "lost its node",
}
CONDITIONS: Final = (
    reasons.EVICTED_BY_API,
    reasons.PREEMPTED,
    reasons.TAINTED,
    reasons.GARBAGE_COLLECTED,
    reasons.TERMINATED_BY_KUBELET,
)


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known about the end of an attempt; `claim` is the agent's verdict."""

    job: JobView | None
    pod: PodView
    claim: Verdict | None

    @property
    def worker_name(self) -> str:
        """Name of the container beside the agent; empty in prep."""
        return WORKER.get(self.pod.stage, "")

    @property
    def worker(self) -> ContainerView:
        """The container beside the agent."""
        return self.pod.containers.get(self.worker_name, ContainerView())


Found = tuple[Reason, str] | None


def _in_words_of(what: str, words: str) -> str:
    """Return what has happened, with the words of Kubernetes if it has some; the kubelet's can end with a space."""
    return f"{what}: {words.strip()}" if words.strip() else f"{what}."


def own_limit(facts: Facts) -> Found:
    """Return a full disk if the node evicted the pod for a limit of the pod's own."""
    pod = facts.pod
    words = pod.message.strip()
    reason = next((reason for pattern, reason in _OWN_LIMITS if pattern.match(words)), None)
    return (reason, _in_words_of(f"Pod {pod.name} was evicted", words)) if reason and pod.reason == "Evicted" else None


def out_of_memory(facts: Facts) -> Found:
    """Return lack of memory if Kubernetes says so of a container."""
    pod = facts.pod
    if pod.agent.reason == "OOMKilled":
        reading = _reading(pod.agent)
        reason = reasons.OOM_KILLED_READING if reading else reasons.OOM_KILLED
        reason = reason if pod.stage is Stage.PREP else reasons.OOM_KILLED_AGENT
        return reason, _killed(facts, AGENT, f" while it read {reading}" if reading else "")
    if facts.worker.reason == "OOMKilled":
        return reasons.OOM_KILLED, _killed(facts, facts.worker_name)
    return None


def killed_at_start(facts: Facts) -> Found:
    """Return lack of memory for a trainer that was killed before it began: nothing else kills one so early."""
    early = facts.claim is not None and facts.claim.reason is reasons.TRAINER_NEVER_STARTED
    if not early or facts.worker.exit_code != SIGKILL:
        return None
    message = f"Container {facts.worker_name} of pod {facts.pod.name} was killed (SIGKILL) before it began to work"
    return reasons.OOM_KILLED, f"{message}: most likely it ran out of memory."


def _killed(facts: Facts, name: str, at: str = "") -> str:
    return f"Container {name} of pod {facts.pod.name} was killed because it ran out of memory{at}."


def _reading(agent: ContainerView) -> str:
    """The files that the agent's processes read when it was killed, from what it wrote in place of a verdict."""
    found = (_READING.fullmatch(line) for line in agent.message[:MAX_VERDICT_BYTES].splitlines())
    return ", ".join(match[1] for match in found if match)


def evicted(facts: Facts) -> Found:
    """Return an eviction by the node."""
    pod = facts.pod
    message = _in_words_of(f"Pod {pod.name} was evicted", pod.message)
    return (reasons.EVICTED, message) if pod.reason == "Evicted" else None


def by_node(facts: Facts) -> Found:
    """Return the end for which the node gave the pod a reason."""
    pod = facts.pod
    found = next((entry for entry in BY_NODE.items() if entry[0].name == pod.reason), None)
    return (found[0], _in_words_of(f"Pod {pod.name} {found[1]}", pod.message)) if found else None


def disrupted(facts: Facts) -> Found:
    """Return the reason of the pod's condition `DisruptionTarget`."""
    pod = facts.pod
    if not pod.disruption:
        return None
    return reasons.named(pod.disruption), _in_words_of(f"Pod {pod.name} was disrupted", pod.disruption_message)


def deadline(facts: Facts) -> Found:
    """Return the deadline of the pod or Job that has passed."""
    job, name = facts.job, reasons.DEADLINE_EXCEEDED.name
    if facts.pod.reason == name:
        return reasons.DEADLINE_EXCEEDED, deadline_of(f"Pod {facts.pod.name}")
    return (reasons.DEADLINE_EXCEEDED, deadline_of(f"Job {job.name}")) if job and job.failure == name else None


def deadline_of(what: str) -> str:
    """Return the message about a deadline of a pod or Job."""
    return f"{what} was ended at the deadline (activeDeadlineSeconds) that something else than the operator gave it."


def deleted(facts: Facts) -> Found:
    """Return the deletion of the pod, or of the Job and so of the pod."""
    job, pod = facts.job, facts.pod
    if not (pod.deletion_at or (pod.gone and not pod.ended)):
        return None
    if job is None or job.deleting:
        return reasons.JOB_GONE, f"Pod {pod.name} was deleted with the attempt's Job."
    return reasons.POD_DELETED, f"Pod {pod.name} was deleted."


def refused(facts: Facts) -> Found:
    """Return the node's refusal to run the pod."""
    pod = facts.pod
    never_ran = all(container.state == "waiting" for container in pod.containers.values())
    if not (pod.ended and pod.reason and never_ran):
        return None
    return reasons.REFUSED_BY_NODE, _in_words_of(f"Node {pod.node} refused pod {pod.name}: {pod.reason}", pod.message)


def unknown(facts: Facts) -> Found:
    """Return a container whose end its node does not know."""
    unknown = reasons.CONTAINER_STATUS_UNKNOWN
    for name, container in ((AGENT, facts.pod.agent), (facts.worker_name, facts.worker)):
        if container.reason == unknown.name:
            what = f"Node {facts.pod.node} lost container {name} of pod {facts.pod.name}"
            return unknown, _in_words_of(what, container.message)
    return None


def node_disk_full(facts: Facts) -> Found:
    """Return a full disk of the node if the agent says so by its exit code, because it could not write more."""
    if facts.pod.agent.exit_code != EXIT_NO_SPACE:
        return None
    message = f"Container {AGENT} of pod {facts.pod.name} could not write its verdict: the disk of its node is full."
    return reasons.NODE_DISK_FULL, message


def illegal_instruction(facts: Facts) -> Found:
    """Return an unfit CPU if the container beside the agent was ended by SIGILL."""
    return (reasons.ILLEGAL_INSTRUCTION, _died(facts)) if facts.worker.exit_code == SIGILL else None


def silent_death(facts: Facts) -> Found:
    """Add how the container ended, which the agent cannot see, to where it was, which Kubernetes does not know."""
    claim = facts.claim
    if claim is None or claim.reason.name not in DIED or facts.worker.state != "terminated":
        return None
    return claim.reason, sentences(_died(facts), claim.message)


def _died(facts: Facts) -> str:
    return f"Container {facts.worker_name} of pod {facts.pod.name} ended with {exit_of(facts.worker)}."


def no_verdict(facts: Facts) -> Found:
    """Return how the agent's container ended; it left no verdict."""
    agent = facts.pod.agent
    said = agent.message.strip()[-500:]
    last_words = f": {said}" if said else ""
    message = f"Container {AGENT} of pod {facts.pod.name} ended with {exit_of(agent)} and no verdict{last_words}"
    return reasons.NO_VERDICT, message

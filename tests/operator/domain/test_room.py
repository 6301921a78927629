"""A pod that no node can run: what it asks for, what the largest node has, and which field changes that."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from trainingrun.api.names import Stage
from trainingrun.domain.draft import MAX_CAUSE
from trainingrun.domain.nodes import Node, Nodes, requests_of
from trainingrun.domain.observe import PodView
from trainingrun.domain.quantities import amount, parsed
from trainingrun.domain.waiting import cause_of
from trfakes.builders import a_job, a_pod, a_run, after
from trfakes.play import Play

SELECTOR = "node(s) didn't match Pod's node affinity/selector"


def node(name: str, labels: dict[str, str] | None = None, **allocatable: str) -> Node:
    gpu = {"nvidia.com/gpu": allocatable.pop("gpu")} if "gpu" in allocatable else {}
    status = {"allocatable": {**allocatable, **gpu}}
    return Node.from_object({"metadata": {"name": name, "labels": labels or {}}, "status": status})


def pod(lacking: str, *, selector: dict[str, str] | None = None, **asks: str) -> PodView:
    words = f"0/2 nodes are available: {lacking}. no new claims to deallocate, preemption: 0/2 nodes are available: "
    amounts = {"nvidia.com/gpu" if name == "gpu" else name: parsed(text) for name, text in asks.items()}
    return a_pod(Stage.TRAIN, unschedulable=words + "x", asks=amounts, node_selector=selector or {})


SMALL, LARGE = node("small", cpu="1", memory="2Gi"), node("large", {"disk": "ssd"}, cpu="2", memory="8129572Ki")
LOWER = "Create a new TrainingRun with lower spec.train.pod.resources.requests, or add a larger node."
FREE = "Free or add such a node, or create a new TrainingRun with lower spec.train.pod.resources.requests."
NO_GPU = "Create a new TrainingRun with spec.train.gpus: 0, which trains on the CPU, or free or add such a node."
CASES: dict[str, tuple[PodView, Nodes, str, str]] = {
    "more than any node has": (
        pod("2 Insufficient cpu", cpu="2100m"),
        Nodes((SMALL, LARGE), {"large": {"cpu": parsed("900m")}}),
        "It asks for 2.1 CPU; the largest node has 2, of which 0.9 is free: this can never fit.",
        LOWER,
    ),
    "more than is free": (
        pod("2 Insufficient memory", memory="4352Mi"),
        Nodes((SMALL, LARGE), {"large": {"memory": parsed("1Gi")}}),
        "It asks for 4.25Gi of memory; the largest node has 7.75Gi, of which 1Gi is free.",
        FREE,
    ),
    "without the pods of nodes": (
        pod("2 Insufficient cpu", cpu="1500m"),
        Nodes((SMALL, LARGE)),
        "It asks for 1.5 CPU; the largest node has 2.",
        FREE,
    ),
    "without the nodes": (pod("2 Insufficient cpu", cpu="1500m"), Nodes(), "It asks for 1.5 CPU.", FREE),
    "nodes that are more than full": (
        pod("2 Insufficient cpu", cpu="1"),
        Nodes((LARGE,), {"large": {"cpu": parsed("0") - parsed("1")}}),
        "It asks for 1 CPU; the largest node has 2, of which 0 is free.",
        FREE,
    ),
    "no GPU anywhere": (
        pod("1 Insufficient cpu, 2 Insufficient nvidia.com/gpu", cpu="1", gpu="1"),
        Nodes((SMALL, LARGE)),
        "It asks for 1 nvidia.com/gpu, and no node has any.",
        NO_GPU,
    ),
    "no free GPU": (
        pod("1 Insufficient nvidia.com/gpu", gpu="1"),
        Nodes((SMALL, node("gpus", cpu="1", gpu="8")), {"gpus": {"nvidia.com/gpu": Decimal()}}),
        "It asks for 1 nvidia.com/gpu; the largest node has 8, of which 0 is free.",
        NO_GPU,
    ),
    "a GPU, without the nodes": (
        pod("2 Insufficient nvidia.com/gpu", gpu="1"),
        Nodes(),
        "It asks for 1 nvidia.com/gpu.",
        NO_GPU,
    ),
    "the largest of the nodes that it may have": (
        pod(f"1 Insufficient cpu, 1 {SELECTOR}", selector={"disk": "ssd"}, cpu="3"),
        Nodes((LARGE, node("huge", cpu="96"))),
        "It asks for 3 CPU; the largest node has 2: this can never fit.",
        LOWER,
    ),
    "labels that no node has": (
        pod(f"2 {SELECTOR}", selector={"gpu": "a100"}, cpu="1"),
        Nodes((SMALL, LARGE)),
        "No node has the labels gpu=a100.",
        "Create a new TrainingRun with another spec.train.pod.nodeSelector, or label a node.",
    ),
    "taints": (
        pod("2 node(s) had untolerated taint {dedicated: search}", cpu="1"),
        Nodes((SMALL, LARGE)),
        "",
        "Create a new TrainingRun with other spec.train.pod.resources or nodeSelector, or free or add such a node.",
    ),
}


@pytest.mark.parametrize(("waits", "nodes", "sentence", "hint"), CASES.values(), ids=CASES)
def test_the_cause_has_amounts_and_names_the_field(waits: PodView, nodes: Nodes, sentence: str, hint: str) -> None:
    """Whole, also in a condition, which has little room."""
    cause = cause_of(a_job(Stage.TRAIN), waits, hints={}, now=after(6), nodes=nodes)
    words = waits.unschedulable.partition(". ")[0]
    first = f"No node can run pod {waits.name}: {words}."
    shown = cause.text(MAX_CAUSE)
    assert shown == " ".join(filter(None, (first, sentence, hint, "The pod then starts by itself.")))
    assert cause.reason.name == "PodUnschedulable"


def test_many_reasons_of_the_scheduler_leave_room_for_the_amounts() -> None:
    words = ", ".join(f"{number} node(s) had untolerated taint {{team-{number}: x}}" for number in range(20))
    cause = cause_of(
        a_job(Stage.TRAIN),
        pod(f"2 Insufficient cpu, {words}", cpu="2100m"),
        hints={},
        now=after(6),
        nodes=Nodes((SMALL, LARGE)),
    )
    shown = cause.text(MAX_CAUSE)
    assert "… It asks for 2.1 CPU; the largest node has 2: this can never fit. " in shown
    assert (LOWER in shown, len(shown)) == (True, MAX_CAUSE - 1)


def container(**requests: str) -> dict[str, Any]:
    return {"resources": {"requests": requests}}


def test_what_a_pod_asks_for_is_what_the_scheduler_counts() -> None:
    spec = {
        "containers": [container(cpu="2", memory="4Gi"), container(cpu="100m", memory="256Mi"), {}],
        "initContainers": [
            {**container(cpu="50m"), "restartPolicy": "Always"},
            container(cpu="3", memory="1Gi"),
        ],
        "overhead": {"memory": "120Mi"},
    }
    assert requests_of(spec) == {"cpu": Decimal(3), "memory": (4096 + 256 + 120) * Decimal(2) ** 20}


@pytest.mark.parametrize(
    ("quantity", "value", "shown"),
    [
        ("2100m", "2.1", "2.1"),
        ("1e3", "1000", "1000"),
        ("100n", "0.0000001", "0"),
        ("1.5", "1.5", "1.5"),
        ("1k", "1000", "1000"),
        ("2Ki", "2048", "2048"),
        ("", "0", "0"),
        ("much", "0", "0"),
        ("-1", "0", "0"),
        ("1e999999999", "0", "0"),
        ("9" * 1000, "0", "0"),
        ("\u0661", "0", "0"),
    ],
)
def test_quantities_of_kubernetes_are_numbers(quantity: str, value: str, shown: str) -> None:
    assert parsed(quantity) == Decimal(value)
    assert amount("cpu", parsed(quantity)) == shown


def test_the_run_shows_the_amounts_once_the_nodes_are_known() -> None:
    play = Play(a_run().spec(train={"gpus": 1}))
    job = play.play_to(Stage.TRAIN)
    waits = pod("2 Insufficient nvidia.com/gpu", gpu="1")
    fields = {"unschedulable": waits.unschedulable, "asks": waits.asks}
    play.start_pod(job, phase="Pending", scheduled_at="", containers={}, **fields)
    assert play.step(1).read_nodes_for is None  # for a second only, as while another pod ends
    wanted = play.step(3).read_nodes_for
    assert wanted is not None
    assert wanted.asks == waits.asks
    play.nodes = Nodes((SMALL, LARGE))
    play.step(1)
    assert "It asks for 1 nvidia.com/gpu, and no node has any. Create a new" in play.condition("Trained")["message"]

"""A schedule: which runs are created when, what their agents do, and which faults happen when. JSON, to be replayed."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final

from trchaos import faults
from trchaos.agents import End
from trchaos.cluster import Wish
from trchaos.kind import seconds
from trchaos.moments import Moment
from trchaos.stories import STORIES
from trchaos.story import Story, tell

NAMESPACES: Final = ("default", "vision", "robots")
FAULT_SECONDS: Final = (30.0, 1800.0)  # within which all faults begin
MOMENT_SECONDS: Final = 20.0
STORIES_AT_ONCE: Final = (1, 1, 2, 4, 7, 8)  # with many, little time is calm, and some rules are silent
# Kinds that are about the same objects.
TOGETHER: Final = (
    ("calls fail", "child deleted", "containers ended"),
    ("admission refuses", "child deleted", "containers ended", "pod disrupted"),
    ("calls fail", "run deleted", "child deleted", "calls slow"),
    ("queue of Jobs", "pod disrupted", "operator killed"),
    ("node lost", "pod stuck", "pod force deleted"),
    ("pod force deleted", "pod force deleted", "Job controller late"),
    ("calls slow", "calls slow", "run deleted"),
    ("several changes", "calls slow", "second operator"),
    ("data set lost", "containers ended", "operator killed"),
    ("agents out of reach", "operator killed", "operator cut off"),
    ("document forged", "document replaced", "foreign object", "child deleted"),
    ("namespace forbidden", "operator killed", "namespace deleted"),
    ("run suspended", "retry raised", "containers ended", "pod disrupted"),
)
OUTCOMES: Final = (
    "killed",
    "crash",
    "interrupted",
    "oomKilled",
    "scratchFull",
    "scratchFullTold",
    "nodeDiskFull",
    "userError",
    "storageRefused",
    "storageOutage",
    "diverged",
    "stalled",
    "outOfMemory",
    "diskFull",
    "gpuUnfit",
)


@dataclass(frozen=True)
class RunPlan:
    """One run: when it is created, how its spec differs from the default, and what its agents do."""

    name: str
    namespace: str = "default"
    at: float = 0.0
    spec: Mapping[str, Any] = field(default_factory=dict)
    wish: Wish = field(default_factory=Wish)


@dataclass(frozen=True)
class Fault:
    """One fault: when, of which kind, and with which values; `after` a moment, or else after the start."""

    at: float
    kind: str
    values: Mapping[str, Any] = field(default_factory=dict)
    after: Moment | None = None


@dataclass(frozen=True)
class Schedule:
    """Everything that one execution depends on."""

    seed: int
    runs: tuple[RunPlan, ...]
    faults: tuple[Fault, ...]
    progress: bool = False  # whether operators reach the agents
    namespaces: tuple[str, ...] = ()  # that the operator serves; the whole cluster without any

    def to_json(self) -> dict[str, Any]:
        """The schedule as a document."""
        return asdict(self)

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Schedule:
        """The schedule of a document."""
        return cls(
            seed=document["seed"],
            runs=tuple(_run(entry) for entry in document["runs"]),
            faults=tuple(_fault(entry) for entry in document["faults"]),
            progress=document["progress"],
            namespaces=tuple(document.get("namespaces", ())),
        )


def make(seed: int) -> Schedule:
    """The schedule of a seed: of most, each run has a story of its own; of the others the faults are anywhere."""
    chance = random.Random(f"schedule {seed}")
    progress, listed = chance.random() < 0.25, chance.random() < 0.2
    if chance.random() < 0.75:
        runs, chosen = _draw_stories(chance, first=STORIES[seed % len(STORIES)])
    else:
        many = chance.random() < 0.02
        count = chance.randint(20, 40) if many else chance.choice((1, 1, 1, 1, 2, 2, 3))
        runs = tuple(_draw_run(chance, number) for number in range(count))
        chosen = tuple(sorted(_draw_faults(chance, runs), key=lambda fault: fault.at))
    progress = progress or any(fault.kind == "agents out of reach" for fault in chosen)
    return Schedule(seed, runs, chosen, progress=progress, namespaces=NAMESPACES if listed else ())


def _draw_stories(chance: random.Random, *, first: Story) -> tuple[tuple[RunPlan, ...], tuple[Fault, ...]]:
    """A story for each of several runs; the first in turn, so that some hundred seeds tell all of them."""
    runs: list[RunPlan] = []
    chosen: list[Fault] = []
    others = chance.choices(STORIES, k=chance.choice(STORIES_AT_ONCE) - 1)
    for number, story in enumerate((first, *others)):
        plan = _draw_run(chance, number)
        plan = replace(plan, spec={**plan.spec, **{name: value(chance) for name, value in story.spec.items()}})
        runs.append(plan)
        chosen += (Fault(at, kind, values, after) for at, kind, values, after in tell(story, chance, plan))
    return tuple(runs), tuple(chosen)


def _draw_faults(chance: random.Random, runs: tuple[RunPlan, ...]) -> Iterator[Fault]:
    """Faults of all kinds over a while, or of a few kinds, or all at nearly one moment, so that they meet."""
    horizon = seconds(chance, *FAULT_SECONDS)
    kinds = sorted(faults.KINDS)
    few = chance.random()
    if few < 0.3:
        kinds = list(chance.choice(TOGETHER))
    elif few < 0.6:
        kinds = chance.sample(kinds, 3)
    # A run has just been created, or is at work.
    moments = (max(0.0, chance.choice(runs).at - MOMENT_SECONDS / 4), chance.uniform(0.0, horizon))
    moment = chance.choice(moments) if chance.random() < 0.4 else None
    for _ in range(chance.choice((0, 1, 2, 4, 6, 8, 12))):
        kind = chance.choice(kinds)
        values = faults.KINDS[kind].draw(chance, runs)
        at = chance.uniform(0.0, horizon) if moment is None else moment + chance.uniform(0.0, MOMENT_SECONDS)
        yield Fault(round(at, 3), kind, values)


def _draw_run(chance: random.Random, number: int) -> RunPlan:
    ends: dict[str, tuple[End, ...]] = {}
    if chance.random() < 0.1:
        again = End(chance.choice(("interrupted", "crash", "storageOutage")), round(chance.uniform(0.2, 0.6), 2))
        ends["train"] = (again,) * chance.choice((4, 7, 9))
    for stage in ("prep", "train", "export"):
        if stage not in ends and chance.random() < 0.3:
            kinds = chance.sample(OUTCOMES, 2) if chance.random() < 0.5 else OUTCOMES[:3]
            outcomes = chance.choices(("succeeded", *kinds), k=chance.choice((1, 1, 2, 3, 8)))
            ends[stage] = tuple(End(outcome, round(chance.uniform(0.1, 0.9), 2)) for outcome in outcomes)
    return RunPlan(
        name=f"run-{number}",
        namespace=chance.choice(NAMESPACES),
        at=round(chance.uniform(0.0, 60.0), 3),
        spec=_draw_spec(chance),
        wish=Wish(ends, steps=chance.choice((300, 300, 1000, 1000, 5000)), rate=5.0),
    )


def _draw_spec(chance: random.Random) -> dict[str, Any]:
    """Fields that differ from the default."""
    spec: dict[str, Any] = {}
    if chance.random() < 0.35:
        spec["startDeadlineSeconds"] = chance.choice((10, 20, 30, 60, 60, 300, 3600))
    if chance.random() < 0.1:
        spec["activeDeadlineSeconds"] = chance.choice((60, 600, 3600))
    if chance.random() < 0.15:
        spec["ttlSecondsAfterFinished"] = chance.choice((0, 60, 3600))
    if chance.random() < 0.5:
        spec["tensorboard"] = {"enabled": False}
    if chance.random() < 0.1:
        spec["export"] = {"gate": {"minMAP": chance.choice((0.1, 0.99))}}
    train: dict[str, Any] = {}
    if chance.random() < 0.15:
        classes = ("interrupted", "crash", "stalled", "storageOutage", "outOfMemory")
        train["retries"] = {name: chance.choice((0, 1, 8)) for name in chance.sample(classes, 2)}
    if chance.random() < 0.15:
        train["onDivergence"] = "Rollback"
    if chance.random() < 0.15:
        train["onOutOfMemory"] = "HalveBatch"
    if train:
        spec["train"] = train
    if chance.random() < 0.05:
        spec["suspend"] = True  # the fault "run suspended" resumes some of them
    return spec


def _fault(entry: Mapping[str, Any]) -> Fault:
    after = entry.get("after")
    return Fault(**{**entry, "after": Moment(**after) if after else None})


def _run(entry: Mapping[str, Any]) -> RunPlan:
    wish = entry["wish"]
    ends = {stage: tuple(End(**end) for end in found) for stage, found in wish["ends"].items()}
    return RunPlan(**{**entry, "wish": Wish(ends, steps=wish["steps"], rate=wish["rate"])})

"""Agents and trainers of pods, played: how far they are at a time, what they leave when they end, what they answer."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from trchaos.bucket import Bucket
from trfakes.fake_cluster import NUMBERS, verdict

IMAGES: Final = 120
SAVE_SECONDS: Final = 60.0  # between two checkpoints
UPLOAD_SECONDS: Final = 4.0
SHARD_SECONDS: Final = 5.0
SHIP_SECONDS: Final = 6.0  # from SIGTERM until the last checkpoint is uploaded


@dataclass(frozen=True)
class End:
    """How an attempt ends when nothing else ends it: an outcome, at a share of its work."""

    outcome: str = "succeeded"
    at: float = 1.0

    @property
    def leaves_verdict(self) -> bool:
        return self.outcome not in {"killed", "oomKilled", "scratchFull", "nodeDiskFull"}


@dataclass
class AgentLife:
    """The agent of one pod from its start on; times are seconds of the loop."""

    stage: str
    pod_uid: str
    bucket: Bucket
    end: End
    steps: int
    rate: float  # steps per second; in other stages the whole stage is `steps / rate` long
    started_at: float
    epoch: int = 0
    from_step: int = 0
    superseded_at: float | None = None
    ended_at: float | None = None
    stopped_at: float | None = None  # SIGTERM
    shipped: bool = False  # its last checkpoint was uploaded before a later epoch was claimed
    final_step: int = 0
    lacks_dataset: bool = False  # the prepared data set was deleted from the bucket before it was fetched
    changes: Mapping[str, Any] = field(default_factory=dict)
    report: dict[str, Any] = field(default_factory=dict)

    def begin(self) -> None:
        """Claim an epoch and find where to go on."""
        self.epoch = self.bucket.claim(self, now=self.started_at)
        if self.stage != "prep":
            self.bucket.lose_again()
        self.lacks_dataset = self.stage != "prep" and "prep" not in self.bucket.results
        if self.stage == "train":
            self.from_step = self.bucket.newest_step(self.started_at)
            self.bucket.resumed.append((self.from_step, self.bucket.newest_step(self.started_at)))
        elif self.stage == "prep":
            self.from_step = self.bucket.newest_images(self.started_at)

    @property
    def seconds(self) -> float:
        """How long it works if nothing ends it."""
        if self.lacks_dataset:
            return 3.0
        if self.stage == "train":
            if self.changes.get("finish"):
                return 5.0
            return max(1.0, (self.steps - self.from_step) / self.rate) * self.end.at
        return self.steps / self.rate / 4 * self.end.at

    def step(self, now: float) -> int:
        """Step it has reached."""
        until = min(now, *(at for at in (self.ended_at, self.stopped_at) if at is not None), now)
        return min(self.steps, self.from_step + int(max(0.0, until - self.started_at) * self.rate))

    def saved_step(self, now: float) -> int:
        """Step of its newest whole checkpoint in the bucket; those it resumed from are of others."""
        until = min(now, *(at for at in (self.ended_at, self.superseded_at) if at is not None), now)
        if self.shipped and self.ended_at is not None:
            return self.final_step
        uploads = int(max(0.0, until - self.started_at - UPLOAD_SECONDS) // SAVE_SECONDS)
        return min(self.step(now), self.from_step + int(uploads * SAVE_SECONDS * self.rate)) if uploads else 0

    def saved_images(self, now: float) -> int:
        """Images that it has checked and stored."""
        until = min(now, *(at for at in (self.ended_at, self.superseded_at) if at is not None), now)
        share = max(0.0, until - self.started_at) / max(1.0, self.steps / self.rate / 4)
        return min(IMAGES, self.from_step + int(share * IMAGES))

    def supersede(self, now: float) -> None:
        """A later epoch was claimed."""
        if self.superseded_at is None:
            self.superseded_at = now

    def finish(self, now: float, *, outcome: str) -> dict[str, Any]:
        """End with an outcome; returns the verdict, empty when it leaves none."""
        if self.lacks_dataset and outcome != "interrupted":
            self.ended_at = now
            return verdict(self.stage, "storageRefused", reason="DatasetLost")
        if outcome == "succeeded":
            step = self.step(now) if self.changes.get("finish") else self.steps
            if not self.bucket.publish(self, now=now, step=step):
                self.ended_at = now
                return verdict(self.stage, "interrupted", reason="Superseded")
        self.shipped = outcome in {"interrupted", "succeeded"} and self.stage == "train" and self.superseded_at is None
        self.final_step = self.steps if outcome == "succeeded" and not self.changes.get("finish") else self.step(now)
        numbers = self.numbers(now, outcome)
        self.ended_at = now
        return verdict(self.stage, outcome, numbers=numbers)

    def numbers(self, now: float, outcome: str) -> dict[str, Any]:
        """The numbers of its verdict."""
        if self.stage == "train":
            step = self.final_step
            saved = step if self.shipped else self.bucket.newest_step(now)
            found: dict[str, Any] = {
                "step": step,
                "steps": self.steps,
                "checkpointStep": saved,
                "resumedFromStep": self.from_step,
            }
            if outcome == "succeeded":
                found = {**NUMBERS["train"], **found, "newestCheckpointStep": saved}
                if self.changes.get("finish"):
                    found["stoppedBy"] = "finish"
            return found
        if self.stage == "prep":
            if outcome == "succeeded":
                return dict(NUMBERS["prep"])
            return {"images": IMAGES, "savedImages": self.saved_images(now)}
        return dict(NUMBERS[self.stage]) if outcome == "succeeded" else {}

    def progress(self, now: float, *, updated: str) -> bytes:
        """What it answers to /progress."""
        found: dict[str, Any] = {
            "contractVersion": 1,
            "updated": updated,
            "podUID": self.pod_uid,
            "storage": {"ready": True},
        }
        if self.stage == "train":
            step = self.step(now)
            found |= {
                "phase": "training",
                "unit": "steps",
                "done": step,
                "total": self.steps,
                "step": step,
                "steps": self.steps,
                "checkpointStep": self.bucket.newest_step(now),
                **({"resumedFromStep": self.from_step} if self.from_step else {}),
            }
        elif self.stage == "prep":
            saved = self.saved_images(now)
            found |= {"phase": "writing", "unit": "images", "done": saved, "total": IMAGES, "savedImages": saved}
            found["images"] = IMAGES
        else:
            found |= {"phase": "exporting"}
        return json.dumps(found).encode()


class PlayedAgents:
    """The agents of all pods, asked by IP address; `reaches` says whether the network lets an operator ask."""

    def __init__(self, now: Callable[[], float], updated: Callable[[], str], *, chance: random.Random) -> None:
        self.by_address: dict[str, AgentLife] = {}
        self.reaches = True
        self._now, self._updated, self._chance = now, updated, chance

    async def ask(self, address: str, port: int) -> bytes | None:
        life = self.by_address.get(address)
        if not self.reaches or life is None or life.ended_at is not None:
            return None
        return life.progress(self._now(), updated=self._updated())

    async def close(self) -> None: ...

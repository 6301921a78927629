"""Events: none tells what no stored status says, and none is told twice for one thing."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from trchaos.rules.rule import Rule, condition, entries

if TYPE_CHECKING:
    from trchaos.rules.rule import Scene
    from trchaos.rules.truth import RunFacts
    from trfakes.store import Object

_ENDED: Final = re.compile(r"Attempt (\d+) of (\w+) ended")
HOUR_SECONDS: Final = 3600.0
SHOWN: Final = (("progress", "updated"), ("tensorboard", "yields"))


class Events(Rule):
    """What operators tell about runs."""

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self._told: dict[tuple[str, str, str, str], tuple[float, str]] = {}

    def told(self, run: RunFacts, event: Object) -> None:
        if run.forged or run.gone is not None:
            return
        reason, message = event["reason"], event["message"]
        found = _ENDED.match(message)
        if found and entries(run.status).get(found[2], {}).get("ended", 0) < int(found[1]):
            self.scene.broken("Events follow the status", run.key, message)
        if reason == "Succeeded" and condition(run.status, "Succeeded").get("status") != "True":
            self.scene.broken("Events follow the status", run.key, message)
        # What the user asks for again is answered again, and so is each time that TensorBoard is refused.
        shown = [(run.status.get(name) or {}).get(field) for name, field in SHOWN]
        since = f"{run.generation} {shown}"
        # That a status is refused cannot be stored: each operator tells it once.
        teller = self.scene.world.server.acting if reason == "StatusRefused" else ""
        before = self._told.get((run.uid, reason, message, teller))
        self._told[run.uid, reason, message, teller] = self.scene.now, since
        if before is not None and before[1] == since and self.scene.now - before[0] < HOUR_SECONDS:
            self.scene.broken("one Event for one thing", run.key, f"{reason}: {message}")

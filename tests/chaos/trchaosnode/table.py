"""Write the table of outcomes: by kind of fault how often, the most steps lost and their bound, how attempts ended."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from trchaosnode.hit import Outcome
from trchaosnode.kinds import EFFECTS, Card

HEAD = ("fault", "stage", "times", "steps lost, most", "bound then", "how the attempt ended")


def table(outcomes: Iterable[Outcome]) -> str:
    """A Markdown table, in the order of the kinds."""
    by_card: dict[Card, list[Outcome]] = {}
    for outcome in outcomes:
        by_card.setdefault((outcome.fault.kind, outcome.fault.stage), []).append(outcome)
    rows = [HEAD, ("---",) * len(HEAD), *(_row(card, by_card[card]) for card in EFFECTS if card in by_card)]
    total = sum(map(len, by_card.values()))
    return "\n".join([*(f"| {' | '.join(row)} |" for row in rows), "", f"{total} faults"])


def _row(card: Card, outcomes: list[Outcome]) -> tuple[str, ...]:
    worst = max(outcomes, key=lambda one: (one.lost, -one.bound))
    ends = Counter(one.ended or "it went on" for one in outcomes)
    counts = EFFECTS[card].outcome and worst.moment
    lost, bound = (str(worst.lost), str(worst.bound)) if counts else ("", "")
    return (*map(str, card), str(len(outcomes)), lost, bound, ", ".join(f"{end} {n}" for end, n in ends.most_common()))

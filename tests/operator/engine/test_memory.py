"""What the process remembers: when warnings of objects that do not start are read again."""

from __future__ import annotations

from trainingrun.engine.memory import EARLY_SECONDS, Memory


def reads(memory: Memory, uids: list[str], *, until: int) -> dict[str, list[int]]:
    """Look at the run every three seconds; returns when the warnings of each object were read."""
    found: dict[str, list[int]] = {}
    for now in range(0, until, 3):
        for uid in memory.warnings_to_read(uids, now=float(now)):
            found.setdefault(uid, []).append(now)
    return found


def test_an_event_that_comes_late_is_seen_at_the_next_look() -> None:
    """The cause of a wait has to be in the status within five seconds."""
    assert reads(Memory("run"), ["pod"], until=int(EARLY_SECONDS))["pod"] == [0, 3, 6, 9, 12, 15, 18]


def test_warnings_of_a_pod_that_waits_for_long_are_read_less_often() -> None:
    at = reads(Memory("run"), ["pod"], until=600)["pod"]
    assert [later - earlier for earlier, later in zip(at[-5:], at[-4:], strict=False)] == [6, 6, 6, 6]


def test_objects_that_have_started_are_forgotten() -> None:
    memory = Memory("run")
    reads(memory, ["job", "pod"], until=9)
    memory.warnings_to_read([], now=9.0)
    assert memory.warnings_read_at == {}

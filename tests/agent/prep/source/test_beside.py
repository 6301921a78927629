"""What belongs to a source and lies beside its folder, or above it."""

from __future__ import annotations

import pytest

from memory_store import MemoryStore
from trainingrun_agent.prep.source.beside import above
from trainingrun_agent.prep.source.place import Place


def bucket(*keys: str) -> MemoryStore:
    store = MemoryStore()
    for key in keys:
        store.put(key, key.encode())
    return store


@pytest.mark.parametrize(
    ("key", "shown", "found"),
    [
        ("set/images/train/", "", ["../a.yaml", "../../b.yaml"]),
        ("set/images/", "", ["../b.yaml", "../../c.yaml"]),
        ("set/", "", ["../c.yaml"]),
        ("", "", []),
        ("set/labels/train/", "../../labels/train/", ["../../labels/d.yaml", "../../b.yaml"]),
        ("set/labels/train/", "s3://detectors/set/labels/train/", ["s3://detectors/set/labels/d.yaml"]),
    ],
)
def test_files_of_the_two_folders_above_are_found_up_to_the_root(key: str, shown: str, found: list[str]) -> None:
    store = bucket("c.yaml", "set/b.yaml", "set/images/a.yaml", "set/labels/d.yaml", "set/images/train/x.yaml")
    neighbours = list(above(Place(store, key, shown), lambda name: name.endswith(".yaml")))
    assert [neighbour.entry.path for neighbour in neighbours][: len(found)] == found
    for place, entry in neighbours:
        assert store.get(place.key_of(entry.path), max_bytes=99).decode().endswith(entry.path[-6:])


def test_a_file_above_that_must_not_be_read_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    store = bucket("set/a.yaml", "set/b.yaml", "set/train/1.jpg")
    monkeypatch.setattr(store, "readable", lambda key: key == "set/b.yaml")
    assert [found.entry.path for found in above(Place(store, "set/train/"), lambda _: True)] == ["../b.yaml"]

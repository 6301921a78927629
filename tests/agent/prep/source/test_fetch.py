"""Objects that cannot be read as they were listed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import pytest

from memory_store import MemoryStore
from prep_in_memory import Preparation, seen
from trainingrun_agent.errors import ObjectArchived, UserError
from trainingrun_agent.prep.source.entry import Entry
from trainingrun_agent.storage.base import ObjectInfo
from voc_data import jpeg, voc


class Misnaming(MemoryStore):
    """A server that lists some characters as others."""

    shown = str.maketrans({"\x01": "?", "\x03": "?", "\x02": "\ufffd", "+": " "})

    def list(self, prefix: str, *, start_after: str = "", limit: int | None = None) -> Iterator[ObjectInfo]:
        for info in super().list(prefix, start_after=start_after, limit=limit):
            yield replace(info, key=info.key.translate(self.shown))


@pytest.fixture
def server(prep: Preparation) -> Misnaming:
    made = Misnaming()
    prep.memory = made
    for index in range(3):
        prep.add(f"t{index}")
    prep.add("e0", split="eval")
    prep.max_bad_files = "50%"
    return made


NAMES = {"a question mark": ("\x01", "?"), "a replacement": ("\x02", "\ufffd"), "a blank": ("+", " ")}


@pytest.mark.parametrize(("stored", "listed"), NAMES.values(), ids=NAMES)
def test_a_key_that_is_listed_otherwise_is_named_and_not_called_changed(
    prep: Preparation, server: Misnaming, stored: str, listed: str
) -> None:
    prep.add(f"tire{stored}", jpeg(seed=9), voc())
    assert prep.run().train_images == 3
    assert prep.codes() == {"KeyNotListed": 1}
    [finding] = prep.document("report.json")["findings"]
    assert finding["file"] == f"tire{listed}.xml"
    assert seen(finding) == (
        f"the key of this object cannot be listed: the server lists {f'train/tire{listed}.xml'!a}, but has no"
        " object of this key"
    )


def test_an_object_that_is_listed_twice_is_named(prep: Preparation, server: Misnaming) -> None:
    for character in "?\x01\x03":
        prep.memory.objects[f"train/tire{character}.jpg"] = jpeg(seed=character)
    prep.memory.objects["train/tire?.xml"] = voc()
    prep.run()
    assert prep.codes()["KeyNotListed"] == 1


def test_an_object_that_is_gone_is_still_called_changed(prep: Preparation, server: Misnaming) -> None:
    gone = "train/t1.jpg"

    class Deleting(Misnaming):
        def get(self, key: str, *, max_bytes: int, etag: str = "") -> bytes:
            self.objects.pop(gone, None)
            return super().get(key, max_bytes=max_bytes, etag=etag)

    prep.memory = Deleting()
    prep.memory.objects = server.objects
    with pytest.raises(UserError, match="DataChanged"):
        prep.run()


class Archiving(MemoryStore):
    """A bucket with a rule that moves objects into an archive."""

    archived: frozenset[str] = frozenset()
    about: Mapping[str, object] = {"storage_class": "GLACIER"}

    def get(self, key: str, *, max_bytes: int, etag: str = "") -> bytes:
        if key in self.archived:
            raise ObjectArchived(where=key, answer="403 InvalidObjectState", **self.about)
        return super().get(key, max_bytes=max_bytes, etag=etag)


@pytest.mark.parametrize(
    ("about", "text"),
    [({"storage_class": "DEEP_ARCHIVE"}, "archived in storage class DEEP_ARCHIVE, so"), ({}, "archived, so")],
    ids=["a class", "no class"],
)
@pytest.mark.parametrize("archived", ["tire.jpg", "tire.xml"], ids=["image", "labels"])
def test_an_archived_file_is_a_bad_file_until_it_is_restored(
    prep: Preparation, server: Misnaming, archived: str, about: Mapping[str, object], text: str
) -> None:
    prep.memory = store = Archiving()
    store.objects, store.archived, store.about = server.objects, frozenset({f"train/{archived}"}), about
    prep.add("tire", jpeg(seed=9), voc())
    assert prep.run().train_images == 3
    assert prep.codes() == {"ObjectArchived": 1}
    [finding] = prep.document("report.json")["findings"]
    assert finding["file"] == archived
    assert seen(finding).startswith(text)
    again = prep.run()
    assert (again.train_images, again.numbers["reused"]) == (3, True)
    store.archived = frozenset()
    restored = prep.run()
    assert (restored.train_images, restored.numbers["reused"]) == (4, False)
    assert restored.digest != again.digest
    assert prep.run().numbers["reused"] is True


def test_too_many_archived_files_end_the_preparation_with_the_next_step(prep: Preparation, server: Misnaming) -> None:
    prep.memory = store = Archiving()
    store.objects = server.objects
    store.archived, prep.max_bad_files = frozenset(f"train/t{index}.jpg" for index in range(2)), "10%"
    with pytest.raises(UserError) as caught:
        prep.run()
    assert caught.value.reason == "TooManyBadFiles"
    assert "ObjectArchived: archived in storage class GLACIER" in caught.value.message


def test_a_label_file_that_is_listed_otherwise_does_not_end_the_run(prep: Preparation, server: Misnaming) -> None:
    prep.add("a\x01", jpeg(seed=9))  # the first file whose beginning is read
    assert prep.run().train_images == 3
    assert Entry("a?.jpg", 1).path == "a?.jpg"

"""Weights at an https address: stored in the bucket once, and verified whenever they are read."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import zoo
from https_server import HttpsServer
from trainingrun_agent.errors import UserError
from trainingrun_agent.shared.folder import Folder
from trainingrun_agent.training_settings import Pretrained
from trainingrun_agent.transfer.meter import Meter
from trainingrun_agent.transfer.web_weights import fetch_pretrained

pytestmark = pytest.mark.contract
ARCHIVE = zoo.zoo_archive()
SHA256 = hashlib.sha256(ARCHIVE).hexdigest()
KEY = f"lab/weights/{SHA256}.tar.gz"
PATH = "/zoo/net.tar.gz"
Fetch = Callable[..., set[str]]


@pytest.fixture
def server(certificate: Path) -> Iterator[HttpsServer]:
    made = HttpsServer(certificate)
    made.answers[PATH] = (200, {}, ARCHIVE)
    yield made
    made.stop()


@pytest.fixture
def fetch(prepared: Any, server: HttpsServer, certificate: Path) -> Fetch:
    """Fetches in a new pod; returns the names of the files that the trainer gets."""

    def run(sha256: str = SHA256, **settings: Any) -> set[str]:
        context = prepared.pod("prep")
        resolved = context.config.resolved
        paths = replace(context.config.paths, ca_bundle=certificate)
        trusting = replace(resolved, storage=replace(resolved.storage, ca_bundle=True))
        context = replace(context, config=replace(context.config, resolved=trusting, paths=paths))
        weights = Pretrained(None, server.host + PATH, sha256, **settings)
        with Folder.open(context.config.shared) as shared:
            assert (
                fetch_pretrained(context, weights, shared=shared, meter=Meter(context.progress, context.stop)) is None
            )
        assert list((context.config.shared / "spool").iterdir()) == []
        return {path.name for path in (context.config.shared / "pretrained").iterdir()}

    return run


def test_a_second_run_takes_the_archive_from_the_bucket(prepared: Any, server: HttpsServer, fetch: Fetch) -> None:
    both = fetch(), fetch()
    assert both == ({"model.ckpt.index", "model.ckpt.data-00000-of-00001"},) * 2
    assert server.requests == [PATH]
    assert prepared.pod("prep").out.get(KEY, max_bytes=1 << 20) == ARCHIVE


def test_an_archive_that_was_deleted_or_damaged_is_fetched_again(
    prepared: Any, server: HttpsServer, fetch: Fetch
) -> None:
    store = prepared.pod("prep").out
    fetch()
    store.put(KEY, ARCHIVE[:-1] + b"?")
    fetch()
    assert store.get(KEY, max_bytes=1 << 20) == ARCHIVE
    store.delete(KEY)
    fetch()
    assert server.requests == [PATH] * 3


def test_an_archive_with_another_digest_is_not_stored(prepared: Any, server: HttpsServer, fetch: Fetch) -> None:
    asked = "0a" * 32
    with pytest.raises(UserError) as caught:
        fetch(asked)
    assert caught.value.reason == "PretrainedUnusable"
    assert caught.value.message == (
        f"spec.model.pretrained.sha256 is {asked}, but {server.host}{PATH} has the SHA-256 {SHA256}"
    )
    assert caught.value.hint == (
        "If the archive is the right one, create a new TrainingRun with another spec.model.pretrained.sha256. Else the "
        "object was replaced: find out by whom before you use it."
    )
    assert list(prepared.pod("prep").out.list("lab/weights/")) == []


def test_messages_about_the_archive_name_its_address(server: HttpsServer, fetch: Fetch) -> None:
    photo = zoo.archive({"photo.jpg": b"x"})
    server.answers[PATH] = (200, {}, photo)
    with pytest.raises(UserError) as caught:
        fetch(hashlib.sha256(photo).hexdigest())
    assert caught.value.message.startswith(f"spec.model.pretrained: {server.host}{PATH} holds no model.ckpt.index")


def test_the_digest_of_an_archive_in_the_bucket_is_compared_too(prepared: Any) -> None:
    context = prepared.pod("prep")
    context.out.put("zoo/net.tar.gz", ARCHIVE)
    prepared.document["model"]["pretrained"] = {
        "bucket": context.out.bucket,
        "key": "zoo/net.tar.gz",
        "sha256": "0a" * 32,
    }
    weights = prepared.pod("prep").config.resolved.model.pretrained
    with Folder.open(context.config.shared) as shared, pytest.raises(UserError) as caught:
        fetch_pretrained(context, weights, shared=shared, meter=Meter(context.progress, context.stop))
    place = f"s3://{context.out.bucket}/zoo/net.tar.gz"
    assert caught.value.message == (
        f"spec.model.pretrained.sha256 is {'0a' * 32}, but {place} has the SHA-256 {SHA256}"
    )

"""Targets of fuzzing for what is neither labels nor images: archives, checkpoints, documents, listings.

Invariant: as in targets.py. The errors that a reader may raise are those that its callers expect.
"""

from __future__ import annotations

import gzip
import struct
import tarfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from memory_store import MemoryStore
from trainingrun_agent import bounded_json, config
from trainingrun_agent.errors import IntegrityError, StageError
from trainingrun_agent.keys import RunKeys
from trainingrun_agent.pipeline import checkpoint
from trainingrun_agent.pipeline.start import Export, start_from
from trainingrun_agent.prep.sharding import rows, shard_summary
from trainingrun_agent.prep.sharding.job import ShardJob
from trainingrun_agent.prep.statistics.network_input import NetworkInput
from trainingrun_agent.prep.store import previous
from trainingrun_agent.shared import trainer_documents
from trainingrun_agent.shared.folder import Folder
from trainingrun_agent.storage import manifest, pages, results
from trainingrun_agent.transfer.tar_stream import ArchiveUnusableError
from trainingrun_agent.transfer.zoo_archive import unpack_checkpoint

KEY = "k.json"
MAX_WHY = 250
_MAGIC, _CHECKSUM = slice(257, 262), slice(148, 156)
_NETWORK = NetworkInput.for_network("ssd_inception_v2")


def archive(data: bytes) -> int:
    """Target: archives of weights. The checksums of headers are set right, else hardly any change would be read."""
    if not data.startswith((b"\x1f\x8b", b"BZh", b"\xfd7zXZ")):
        data = _with_checksums(data)
    with TemporaryDirectory(prefix="trfuzz-", dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as name:
        folder = Path(name)
        (folder / "in").write_bytes(data)
        try:
            unpack_checkpoint(folder / "in", folder / "out")
        except ArchiveUnusableError as error:
            expected(error)
        return len(list((folder / "out").iterdir()))


def _with_checksums(data: bytes) -> bytes:
    made = bytearray(data)
    for at in range(0, len(data) - tarfile.BLOCKSIZE + 1, tarfile.BLOCKSIZE):
        block = made[at : at + tarfile.BLOCKSIZE]
        if block[_MAGIC] == b"ustar":
            block[_CHECKSUM] = b" " * 8
            made[at + 148 : at + 156] = b"%06o\0 " % (sum(block) & 0o777777)
    return bytes(made)


def checkpoint_index(data: bytes) -> int:
    """Target: an index, and the entries of a block of it, whose checksum hardly any change would leave right."""
    try:
        found = len(checkpoint.read_index(data).variables)
    except checkpoint.IndexUnreadableError as error:
        expected(error)
        found = 0
    with suppress(checkpoint.IndexUnreadableError, IndexError, struct.error):
        found += sum(len(checkpoint._variable(value)[0]) for _, value in checkpoint._entries(data))
    return found


def export_texts(data: bytes) -> int:
    """Target: pipeline.config and label map of an export; they count where training may load more for them."""
    config, _, label_map = data.decode("utf-8", "replace").partition("\0")
    found = start_from(Export(config, label_map), pipeline_config=config, classes=("tire", "wheel"))
    assert len(found.why) < MAX_WHY
    return found.scope != "featureExtractor"


def documents(data: bytes) -> int:
    """Target: the readers of all documents that our programs exchange; those that read it are counted."""
    # Late, because only this target needs the operator and the Kubernetes client.
    from trainingrun.domain.verdicts import parse_verdict
    from trainingrun.engine.progress_puller import parse_progress

    store = MemoryStore()
    run = RunKeys("r")
    store.objects = {KEY: data, **{run.result(stage): data for stage in ("prep", "train", "export")}}
    readers: list[tuple[Callable[[], Any], tuple[type[Exception], ...]]] = [
        (lambda: bounded_json.document(data), (ValueError,)),
        (lambda: manifest.read(store, KEY), (IntegrityError,)),
        (lambda: previous.read(store, KEY), previous.UNREADABLE),
        (lambda: results.read_result(store, run, "prep"), (IntegrityError,)),
        (lambda: results.read_result(store, run, "export"), (IntegrityError,)),
        (lambda: config.parse_resolved(data).field_values, (StageError,)),
        (lambda: parse_verdict(data.decode("utf-8", "replace")), ()),
        (lambda: parse_progress(data.decode("utf-8", "replace"), pod_uid="pod"), ()),
    ]
    return sum(_read(reader, errors) for reader, errors in readers) + _of_a_trainer(data)


def _read(reader: Callable[[], Any], errors: tuple[type[Exception], ...]) -> bool:
    try:
        return reader() is not None
    except errors as error:
        expected(error)
        return False


def _of_a_trainer(data: bytes) -> int:
    with TemporaryDirectory(prefix="trfuzz-") as name:
        for document in ("progress.json", "done.json"):
            (Path(name) / document).write_bytes(data)
        with Folder.open(Path(name)) as folder:
            found = trainer_documents.read_progress(folder), trainer_documents.read_done(folder)
    return sum(one is not None for one in found)


def stored_rows(data: bytes) -> int:
    """Target: the summary and the rows of a shard, as an earlier preparation stored them."""
    job = ShardJob("train", 0, "train-00000", "pascalVOC", [])
    with TemporaryDirectory(prefix="trfuzz-") as name:
        path = Path(name) / "rows.gz"
        path.write_bytes(gzip.compress(data, 1))
        found = 0
        with suppress(*rows.UNREADABLE):
            found += shard_summary.read(path, job, _NETWORK, Path(name) / "csv") is not None
        with suppress(*rows.UNREADABLE):
            found += sum(1 for _ in rows.read(path))
    return found


def listing(data: bytes) -> int:
    """Target: a page of a listing; what is no page is left to botocore."""
    answer: dict[str, Any] = {"body": data}
    own: dict[str, Any] = {}
    pages.parse_entries(answer, own)
    return len(own.get("Contents", ()))


def expected(error: BaseException) -> None:
    """Check an error that a reader raised: it has a text, and a lack of memory is not behind it."""
    str(error).encode("utf-8", "strict")
    seen: BaseException | None = error
    while seen is not None:
        assert not isinstance(seen, MemoryError), "out of memory"
        seen = seen.__cause__ or seen.__context__


TARGETS = {
    "archives": archive,
    "checkpoints": checkpoint_index,
    "exportTexts": export_texts,
    "documents": documents,
    "rows": stored_rows,
    "listings": listing,
}

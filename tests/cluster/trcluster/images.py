"""Import images into the node's containerd.

Invariant: an archive is not imported again when its reference and digest are already there.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

from . import node, oci, process, service
from .errors import ClusterError
from .layout import Layout
from .waiting import until

PAUSE = "registry.k8s.io/pause:3.10.1"
PROBE = "trainingrun.test/probe:1"
IMPORT_SECONDS = 600.0
_LEFTOVERS = ("io.containerd.grpc.v1.cri", "io.containerd.runtime.v2.task")


def archives(paths: Iterable[Path]) -> list[Path]:
    """List the given files, and the *.tar files of the given folders.

    Raises ClusterError for a path that is neither.
    """
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            found.extend(sorted(path.glob("*.tar")))
        elif path.is_file():
            found.append(path)
        else:
            raise ClusterError(f"image archive {path} does not exist")
    return [path.absolute() for path in found]


def archive_of(binary: Path, reference: str) -> Path:
    """Archive of an image with one built program; written next to the program on first use."""
    archive = binary.parent / f"{binary.name}.tar"
    if not archive.exists():
        scratch = binary.parent / f".{binary.name}-{os.getpid()}.tar"
        oci.write_single_binary(scratch, reference=reference, binary=binary)
        scratch.rename(archive)
    return archive


def present(layout: Layout) -> dict[str, str]:
    """Digests of the node's images, by reference."""
    lines = _ctr(layout, "images", "ls").splitlines()[1:]
    rows = (line.split() for line in lines)
    return {row[0]: row[2] for row in rows if len(row) > 2}


def load(layout: Layout, paths: Iterable[Path], *, echo: Callable[[str], None]) -> list[str]:
    """Import the archives that the node lacks; return the references that were imported."""
    there = present(layout)
    imported: list[str] = []
    for archive in archives(paths):
        wanted = oci.references(archive)
        if wanted and all(there.get(name) == digest for name, digest in wanted.items()):
            continue
        started = time.monotonic()
        _ctr(layout, "images", "import", str(archive), timeout=IMPORT_SECONDS)
        imported.extend(wanted or [archive.name])
        echo(f"image {', '.join(wanted) or archive.name}: imported in {time.monotonic() - started:.1f} s")
    return imported


def clear_leftovers(layout: Layout) -> None:
    """Remove the pods of a previous node before containerd starts; images stay."""
    for name in _LEFTOVERS:
        shutil.rmtree(layout.containerd_root / name, ignore_errors=True)


def drop_containers(layout: Layout) -> None:
    """Remove containers of a previous node, with their writable layers, before the kubelet sees them.

    The CRI plugin has already read them, so containerd is restarted if there were any.
    """
    old = _ctr(layout, "containers", "ls", "-q").split()
    if old:
        _ctr(layout, "containers", "rm", *old)
        service.kill(layout, "containerd")
        service.start(layout, "containerd")
        wait_for_containerd(layout)


def wait_for_containerd(layout: Layout) -> None:
    """Wait until containerd answers; raises WaitError with the end of its log."""
    log = service.log_file(layout, "containerd")
    answers = partial(_ctr, layout, "version")
    until(answers, what="containerd to answer", seconds=90, not_yet=(ClusterError,), seen=lambda: process.end_of(log))


def _ctr(layout: Layout, *arguments: str, timeout: float = 30) -> str:
    return process.run([*node.enter(layout), "ctr", "-n", "k8s.io", *arguments], state=layout.state, timeout=timeout)

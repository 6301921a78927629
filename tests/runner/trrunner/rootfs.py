"""Unpack the trainer image into the cache, so that tests run its interpreter and packages on this machine.

Tests thus use the same packages as the cluster. Invariant: a wrapper script exists only in a complete folder.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from trimages.paths import default_cache

PACKAGES = "opt/trainer/lib/python3.7/site-packages"
PACKAGE_LAYER_BYTES = 1_000_000
INTERPRETER = "opt/python3.7/bin/python3.7"


def python_of(archive: Path, *, echo: Callable[[str], None]) -> Path:
    """Unpack the image if needed; returns an executable like its python3, without trainingrun_trainer."""
    home = default_cache().root.parent / "rootfs"
    with tarfile.open(archive) as outer:
        layers = _layers(outer)
    # Only the large layers, with the packages, are unpacked: the small ones hold our own code.
    digests = [layer["digest"] for layer in layers if layer["size"] > PACKAGE_LAYER_BYTES]
    target = home / hashlib.sha256("".join(digests).encode()).hexdigest()[:16]
    wrapper = target / "tf-python"
    if not wrapper.exists():
        echo(f"unpacking {archive.name} for tests with TensorFlow")
        shutil.rmtree(home, ignore_errors=True)  # remove that of an older image
        target.mkdir(parents=True)
        _unpack(archive, digests, target=target)
        wrapper.write_text(
            "#!/bin/sh\n"
            f'export PYTHONPATH="{target}/{PACKAGES}${{TF_PYTHONPATH:+:$TF_PYTHONPATH}}"\n'
            f'exec "{target}/{INTERPRETER}" "$@"\n'
        )
        wrapper.chmod(0o755)
    return wrapper


def _unpack(archive: Path, digests: list[str], *, target: Path) -> None:
    with tarfile.open(archive) as outer:
        for digest in digests:
            stream = outer.extractfile(_path(digest))
            assert stream is not None
            with tarfile.open(fileobj=stream) as inner:
                wanted = [m for m in inner.getmembers() if m.name.startswith("opt/") and not m.isdev()]
                inner.extractall(target, members=wanted, filter="tar")


def _layers(outer: tarfile.TarFile) -> list[dict[str, Any]]:
    manifest = _blob(outer, _path(_blob(outer, "index.json")["manifests"][0]["digest"]))
    layers: list[dict[str, Any]] = manifest["layers"]
    return layers


def _blob(outer: tarfile.TarFile, name: str) -> dict[str, Any]:
    stream = outer.extractfile(name)
    assert stream is not None
    content: dict[str, Any] = json.load(stream)
    return content


def _path(digest: str) -> str:
    return f"blobs/{digest.replace(':', '/')}"

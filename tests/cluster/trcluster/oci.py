"""Read and write OCI image archives.

Invariant: the same content always gives the same bytes and digest.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Mapping
from pathlib import Path

from .errors import ClusterError

_INDEX_LIMIT = 4 * 2**20
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_LAYER = "application/vnd.oci.image.layer.v1.tar"


def write_single_binary(archive: Path, *, reference: str, binary: Path) -> None:
    """Write an image with one layer that contains one static program, its entry point."""
    layer = _tar({binary.name: (binary.read_bytes(), 0o755)})
    config = _json(
        {
            "architecture": "amd64",
            "os": "linux",
            "created": "1970-01-01T00:00:00Z",
            "config": {"Entrypoint": [f"/{binary.name}"], "User": "65535:65535", "WorkingDir": "/"},
            "rootfs": {"type": "layers", "diff_ids": [_digest(layer)]},
        }
    )
    manifest = _json(
        {
            "schemaVersion": 2,
            "mediaType": _MANIFEST,
            "config": _descriptor(_CONFIG, config),
            "layers": [_descriptor(_LAYER, layer)],
        }
    )
    described = _descriptor(_MANIFEST, manifest)
    described["annotations"] = {
        "io.containerd.image.name": reference,
        "org.opencontainers.image.ref.name": reference.rpartition(":")[2],
    }
    files = {
        "oci-layout": _json({"imageLayoutVersion": "1.0.0"}),
        "index.json": _json({"schemaVersion": 2, "manifests": [described]}),
        **{_path(_digest(blob)): blob for blob in (config, manifest, layer)},
    }
    archive.write_bytes(_tar({name: (data, 0o644) for name, data in files.items()}))


def write_extended(
    archive: Path,
    *,
    base: Path,
    reference: str,
    files: Mapping[str, tuple[bytes, int]],
    entrypoint: list[str] | None = None,
) -> None:
    """Write a copy of another image with an additional layer of files and, if given, a different entry point."""
    with tarfile.open(base) as tar:
        blobs = {member.name: _read(tar, member) for member in tar if member.isfile()}
    (first,) = json.loads(blobs["index.json"])["manifests"]
    manifest = json.loads(blobs[_path(first["digest"])])
    config = json.loads(blobs[_path(manifest["config"]["digest"])])
    layer = _tar(files)
    if entrypoint is not None:
        config["config"]["Entrypoint"] = entrypoint
    config["rootfs"]["diff_ids"].append(_digest(layer))
    config.pop("history", None)  # it would not match the new number of layers
    manifest["config"] = {**manifest["config"], **_descriptor(manifest["config"]["mediaType"], _json(config))}
    manifest["layers"].append(_descriptor(_LAYER, layer))
    described = _descriptor(first["mediaType"], _json(manifest))
    described["annotations"] = {"io.containerd.image.name": reference}
    blobs["index.json"] = _json({"schemaVersion": 2, "manifests": [described]})
    for blob in (_json(config), _json(manifest), layer):
        blobs[_path(_digest(blob))] = blob
    archive.write_bytes(_tar({name: (data, 0o644) for name, data in blobs.items()}))


def _read(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    handle = tar.extractfile(member)
    return handle.read() if handle is not None else b""


def _path(digest: str) -> str:
    return f"blobs/{digest.replace(':', '/')}"


def references(archive: Path) -> dict[str, str]:
    """Digests of the images in an OCI archive, by reference.

    Empty for an archive without a full reference, or in Docker's format. Raises ClusterError when the file is not
    a readable archive.
    """
    try:
        with tarfile.open(archive) as tar:
            member = next((entry for entry in tar if entry.name.removeprefix("./") == "index.json"), None)
            handle = tar.extractfile(member) if member is not None else None
            raw = handle.read(_INDEX_LIMIT) if handle is not None else b'{"manifests": []}'
        manifests = json.loads(raw)["manifests"]
        return {name: entry["digest"] for entry in manifests if (name := _name(entry.get("annotations") or {}))}
    except (OSError, tarfile.TarError, ValueError, KeyError, TypeError) as error:
        raise ClusterError(f"{archive} is not an OCI image archive ({error})") from error


def _name(annotations: Mapping[str, str]) -> str:
    short = annotations.get("org.opencontainers.image.ref.name", "")
    return annotations.get("io.containerd.image.name") or (short if "/" in short or ":" in short else "")


def _json(value: object) -> bytes:
    return json.dumps(value, sort_keys=True).encode()


def _digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def _descriptor(media_type: str, data: bytes) -> dict[str, object]:
    return {"mediaType": media_type, "digest": _digest(data), "size": len(data)}


def _tar(files: Mapping[str, tuple[bytes, int]]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, (data, mode) in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(data), mode
            tar.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()

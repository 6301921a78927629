"""What a pod has learned about the server of a bucket that does not keep to S3 in everything.

Invariant: only what the server has shown is noted. What a note changes also works on a server that keeps to S3, so a
wrong note costs requests, not data.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from typing import Any, Final

MD5_EVENTS: Final = ("before-parameter-build.s3.PutObject", "before-parameter-build.s3.UploadPart")
_CHUNK: Final = 1 << 20


@dataclass
class ServerTraits:
    """Notes about one bucket, shared by the stores of a pod."""

    conditional_writes: bool = True
    """False once the server refused or ignored If-None-Match. Then a key is looked for before it is written."""
    wants_md5: bool = False
    """True once the server demanded a checksum, as for a bucket with Object Lock. Then every part is sent with one."""

    encrypts: bool = False
    """True once the server took a write with encryption. Until then, an error of its own may be about that."""

    def add_md5(self, params: dict[str, Any], **_: Any) -> None:
        """Handle MD5_EVENTS: add Content-MD5, which all servers know, to a request that has none."""
        if self.wants_md5 and "ContentMD5" not in params:
            params["ContentMD5"] = base64.b64encode(_md5(params.get("Body", b""))).decode()


def _md5(body: Any) -> bytes:
    digest = hashlib.md5(usedforsecurity=False)
    if isinstance(body, bytes | bytearray | memoryview):
        digest.update(body)
        return digest.digest()
    start = body.tell()
    while chunk := body.read(_CHUNK):
        digest.update(chunk)
    body.seek(start)
    return digest.digest()

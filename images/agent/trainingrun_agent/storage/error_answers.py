"""Answers of a server that are errors, as they are judged: code, text, headers and the elements of the document.

Invariant: nothing here is trusted to be S3's; whatever is shown of it is bounded by its user.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from botocore.exceptions import ClientError

READS: Final = ("HeadObject", "GetObject", "ListObjectsV2", "ListObjects")
_PROXIES: Final = re.compile(
    r"\b(squid|blue ?coat|zscaler|fortigate|fortinet|tinyproxy|privoxy|mcafee web gateway|proxysg|mitmproxy)\b",
    re.IGNORECASE,
)
_WORD: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ./()_-]{0,39}")


@dataclass(frozen=True)
class Answer:
    """An answer to `call`; `details` are the elements of an S3 error document, `headers` have names in lower case."""

    call: str
    status: int
    code: str
    text: str
    details: Mapping[str, Any]
    headers: Mapping[str, Any]

    @property
    def is_s3(self) -> bool:
        """Whether it has an error document of S3: else botocore makes the status the code."""
        return bool(self.code) and not self.code.isdigit()

    @property
    def is_write(self) -> bool:
        """Whether the call puts bytes into the bucket."""
        return self.call not in (*READS, "DeleteObject")

    def header(self, name: str) -> str:
        """A header, empty if there is none."""
        return str(self.headers.get(name, ""))

    def detail(self, name: str) -> str:
        """An element of the document, empty if there is none."""
        return str(self.details.get(name) or "")

    @property
    def by_proxy(self) -> bool:
        """Whether a proxy made the answer. Passing on what the server answers, it may add `Via` too."""
        named = bool(self.headers.keys() & {"x-squid-error", "proxy-authenticate"})
        named = named or bool(_PROXIES.search(self.header("server")))
        return not self.is_s3 and (named or ("via" in self.headers and self.call != "HeadObject"))

    @property
    def answered_by(self) -> str:
        """What calls itself the server of an answer that is not S3's, empty if nothing plain does."""
        found = _WORD.match(self.header("server")) or _WORD.match(self.header("via"))
        return found[0].strip() if found and not self.is_s3 else ""


def answer_of(error: ClientError, call: str) -> Answer:
    """The answer that botocore raised an error for."""
    metadata = error.response.get("ResponseMetadata", {})
    details = error.response.get("Error", {})
    return Answer(
        call,
        status=int(metadata.get("HTTPStatusCode", 0)),
        code=str(details.get("Code", "")),
        text=str(details.get("Message", "")),
        details=details,
        headers=metadata.get("HTTPHeaders", {}),
    )

"""Answers of botocore that are read whole: listings and errors.

Invariant: an answer is read up to MAX_ANSWER_BYTES, and then refused; botocore itself has no bound. One that defines
entities, which stand for a hundred times the memory, is not parsed. Objects are streamed, and bounded by their readers.
"""

from __future__ import annotations

import botocore.awsrequest

MAX_ANSWER_BYTES = 32 << 20
"""A page of a thousand keys, each as long as S3 allows and written as entities, takes 6 MiB."""


class UnreadableAnswerError(Exception):
    """No S3 server, and no STS, gives such an answer; the text says which."""


class BoundedAnswer(botocore.awsrequest.AWSResponse):
    """See botocore."""

    _content: bytes | None

    @property
    def content(self) -> bytes:
        """See botocore. Raises UnreadableAnswerError."""
        if self._content is None:
            data = bytearray()
            for part in self.raw.stream():
                data += part
                if len(data) > MAX_ANSWER_BYTES:
                    self.raw.close()
                    raise UnreadableAnswerError(f"an answer of more than {MAX_ANSWER_BYTES} bytes")
            if b"<!ENTITY" in data:
                raise UnreadableAnswerError("an answer that defines entities")
            self._content = bytes(data)
        return self._content


# botocore looks the class up in its module for every answer.
botocore.awsrequest.AWSResponse = BoundedAnswer  # type: ignore[misc]

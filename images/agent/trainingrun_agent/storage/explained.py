"""A block in which calls of boto3 are made.

Invariant: what leaves the block is a StageError (failures.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError
from urllib3.exceptions import HTTPError  # boto3 needs urllib3

from trainingrun_agent.storage.bounded_answers import UnreadableAnswerError
from trainingrun_agent.storage.failures import Target, explain

_OF_ERROR_BODIES = (HTTPError, UnreadableAnswerError)  # botocore passes them on bare when GetObject is answered so
_OF_VALUES = (ValueError, KeyError, RecursionError)  # of those in an answer, such as a size that is no number


@contextmanager
def explained(target: Target, *, call: str, key: str) -> Iterator[None]:
    """Explain errors of `call` (S3's own name for it) on `key`."""
    try:
        yield
    except (BotoCoreError, ClientError, ResponseParserError, *_OF_ERROR_BODIES, *_OF_VALUES) as error:
        raise explain(error, target, call=call, key=key) from error

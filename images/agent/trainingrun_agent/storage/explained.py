"""A block in which calls of boto3 are made.

Invariant: what leaves the block is a StageError (failures.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from trainingrun_agent.storage.failures import Target, explain


@contextmanager
def explained(target: Target, *, call: str, key: str) -> Iterator[None]:
    """Explain errors of `call` (S3's own name for it) on `key`."""
    try:
        yield
    except (BotoCoreError, ClientError, ResponseParserError, ValueError, KeyError, RecursionError) as error:
        # The last three are of values in an answer, such as a size that is no number.
        raise explain(error, target, call=call, key=key) from error

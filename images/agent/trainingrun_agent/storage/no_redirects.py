"""Keeps botocore's connections from looking at redirects.

Invariant: an answer that redirects reaches botocore as it came. urllib3 would not follow it either, since botocore
allows no retries, but it parses where to: an address that is none, or status 303, then ends in an error of its own.
"""

from __future__ import annotations

from typing import Any

import botocore.awsrequest
from botocore.awsrequest import AWSHTTPConnectionPool, AWSHTTPSConnectionPool


class _Plain(AWSHTTPConnectionPool):
    def urlopen(self, *arguments: Any, **options: Any) -> Any:
        return super().urlopen(*arguments, **{**options, "redirect": False})


class _Encrypted(AWSHTTPSConnectionPool):
    def urlopen(self, *arguments: Any, **options: Any) -> Any:
        return super().urlopen(*arguments, **{**options, "redirect": False})


# botocore, which has no setting for this, looks the classes up in their module for every client.
botocore.awsrequest.AWSHTTPConnectionPool = _Plain  # type: ignore[misc]
botocore.awsrequest.AWSHTTPSConnectionPool = _Encrypted  # type: ignore[misc]

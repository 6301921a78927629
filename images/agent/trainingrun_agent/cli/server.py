"""The server of a bucket: what the options and the environment of AWS's own tools say.

Invariant: the S3 client is imported only when a bucket is opened.
"""

from __future__ import annotations

import os
from argparse import Namespace


def endpoint_of(arguments: Namespace) -> str | None:
    """The address of the server; None for AWS."""
    named = arguments.endpoint or os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    return named.rstrip("/") if named else None


def region_of(arguments: Namespace) -> str | None:
    """The region that is named; None if it is left to the files of AWS's tools."""
    return arguments.region or os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")

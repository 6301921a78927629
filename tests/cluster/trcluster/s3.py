"""Create and read the S3 server's account and address.

Invariant: the secret key is in one file of mode 600, and never in an argument or log.
"""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass

from .errors import ClusterError
from .kubectl import http_ok
from .layout import Layout, Tier

IN_CLUSTER = "http://s3.storage:7070"
REGION = "us-east-1"


@dataclass(frozen=True)
class S3:
    """Address and account of the server: ``endpoint`` for the host, ``in_cluster`` for pods."""

    endpoint: str
    in_cluster: str
    region: str
    access_key: str
    secret_key: str

    def environment(self) -> dict[str, str]:
        """The variables that AWS tools read."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_REGION": self.region,
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
        }


def create(layout: Layout) -> None:
    """Create folders and a new root account for this cluster."""
    for folder in ("data", "iam"):
        (layout.s3 / folder).mkdir(parents=True)
    path = layout.state / "s3.json"
    path.touch(mode=0o600)
    account = {"accessKey": f"TR{secrets.token_hex(9).upper()}", "secretKey": secrets.token_urlsafe(30)}
    path.write_text(json.dumps(account), encoding="utf-8")


def read(layout: Layout) -> S3:
    """Read address and account; raises ClusterError for a tier without an S3 server."""
    if layout.tier is not Tier.NODE:
        raise ClusterError(f"cluster {layout.name} is of tier {layout.tier}: only tier node has an S3 server")
    account = json.loads((layout.state / "s3.json").read_text(encoding="utf-8"))
    endpoint = f"http://127.0.0.1:{layout.ports.s3}"
    return S3(endpoint, IN_CLUSTER, REGION, account["accessKey"], account["secretKey"])


def answers(layout: Layout) -> bool:
    """Whether the server reports that it is healthy."""
    return http_ok(f"http://127.0.0.1:{layout.ports.s3}/healthz")

"""What SeaweedFS's STS is told: whose tokens count, who may assume which role, and what the role may do."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ACCOUNT = "111122223333"  # SeaweedFS's own, when none is configured
OBJECTS = ("s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload")
BUCKETS = ("s3:ListBucket",)


@dataclass(frozen=True)
class Trusted:
    """An issuer of tokens. `jwks` is the address of its keys (None: found by discovery), `ca` a PEM file.

    With `policy_claim`, a token that names no role has the policy whose name is the value of this claim.
    """

    issuer: str
    audience: str
    jwks: str | None = None
    ca: Path | None = None
    policy_claim: str | None = None


@dataclass(frozen=True)
class Role:
    """A role for one bucket; tokens of `issuer` (`*`: of any) whose subject matches a pattern may assume it."""

    name: str
    issuer: str
    subject: str
    bucket: str

    @property
    def arn(self) -> str:
        return f"arn:aws:iam::{ACCOUNT}:role/{self.name}"


def configuration(trusted: Sequence[Trusted], roles: Sequence[Role], *, session_seconds: int = 3600) -> dict[str, Any]:
    """The file of `weed mini -s3.iam.config`; temporary credentials are valid for `session_seconds`."""
    return {
        "sts": {
            "issuer": "seaweedfs-sts",
            "tokenDuration": f"{session_seconds}s",
            "maxSessionLength": "12h",
            "signingKey": base64.b64encode(secrets.token_bytes(32)).decode(),
        },
        "policy": {"defaultEffect": "Deny"},
        "providers": [_provider(each) for each in trusted],
        "roles": [_role(role) for role in roles],
        "policies": [{"name": role.name, "document": _policy(role.bucket)} for role in roles],
    }


def _provider(trusted: Trusted) -> dict[str, Any]:
    settings = {"issuer": trusted.issuer, "clientId": trusted.audience}
    if trusted.jwks:
        settings["jwksUri"] = trusted.jwks
    if trusted.ca:
        settings["tlsCaCert"] = str(trusted.ca)
    if trusted.policy_claim:
        settings["policyClaim"] = trusted.policy_claim
    return {"name": trusted.issuer, "type": "oidc", "enabled": True, "config": settings}


def _role(role: Role) -> dict[str, Any]:
    trust = {
        "Effect": "Allow",
        "Principal": {"Federated": role.issuer},
        "Action": ["sts:AssumeRoleWithWebIdentity"],
        "Condition": {"StringLike": {"oidc:sub": role.subject}},
    }
    return {
        "roleName": role.name,
        "roleArn": role.arn,
        "trustPolicy": _document(trust),
        "attachedPolicies": [role.name],
    }


def _policy(bucket: str) -> dict[str, Any]:
    return _document(
        {"Effect": "Allow", "Action": list(OBJECTS), "Resource": [f"arn:aws:s3:::{bucket}/*"]},
        {"Effect": "Allow", "Action": list(BUCKETS), "Resource": [f"arn:aws:s3:::{bucket}"]},
    )


def _document(*statements: dict[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}

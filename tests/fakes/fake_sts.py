"""A fake STS on the wire: it checks the token of a ServiceAccount as a real one does, but for the signature.

It answers AssumeRoleWithWebIdentity in the XML of AWS, and remembers what it was asked and what it gave.
"""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

ISSUER = "https://kubernetes.default.svc"
AUDIENCE = "sts.amazonaws.com"
SUBJECT = "system:serviceaccount:team-a:trainer"
ROLE = "arn:aws:iam::123456789012:role/detectors"

Answer = tuple[int, str]


def token(*, now: datetime, **claims: Any) -> str:
    """A token as the API server makes them, for one hour; `claims` replace those of the right one."""
    made = {"iss": ISSUER, "aud": [AUDIENCE], "sub": SUBJECT, "exp": int(now.timestamp()) + 3600} | claims
    parts = ({"alg": "RS256", "kid": "key"}, made)
    encoded = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts]
    return ".".join((*encoded, "c2lnbmF0dXJlLW9mLXRoZS1mYWtl"))


def refusal(code: str, text: str = "no", *, status: int = 400) -> Answer:
    """An error in the XML of AWS."""
    return status, (
        '<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type>'
        f"<Code>{code}</Code><Message>{text}</Message></Error><RequestId>1</RequestId></ErrorResponse>"
    )


def granted(number: int, expiration: str, *, key: str = "", secret: str = "", session: str = "") -> Answer:
    """New credentials, different for each number."""
    return 200, (
        '<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">'
        "<AssumeRoleWithWebIdentityResult><Credentials>"
        f"<AccessKeyId>{key or f'ASIAFAKE{number:012d}'}</AccessKeyId>"
        f"<SecretAccessKey>{secret or f'secret-of-the-fake-sts-{number}'}</SecretAccessKey>"
        f"<SessionToken>{session or f'session-of-the-fake-sts-{number}'}</SessionToken>"
        f"<Expiration>{expiration}</Expiration></Credentials></AssumeRoleWithWebIdentityResult>"
        "<ResponseMetadata><RequestId>1</RequestId></ResponseMetadata></AssumeRoleWithWebIdentityResponse>"
    )


@dataclass
class FakeSts:
    """An STS that trusts ISSUER for AUDIENCE and knows `roles`; the role "" is that of tokens without a role.

    `instead` are answers that are given, in this order, before it checks anything.
    """

    now: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))
    roles: tuple[str, ...] = (ROLE, "")
    seconds: int = 3600
    instead: list[Answer] = field(default_factory=list)
    location: str = ""
    asked: list[dict[str, str]] = field(default_factory=list)
    signed: bool = False

    def __post_init__(self) -> None:
        sts = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True  # a body would wait 40 ms for the client to confirm the headers
            timeout = 5

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
                sts.signed |= "Authorization" in self.headers
                status, text = sts.answer({name: values[0] for name, values in parse_qs(body).items()})
                data = text.encode()
                self.send_response_only(status)
                self.send_header("Content-Type", "text/xml")
                self.send_header("Content-Length", str(len(data)))
                if sts.location:
                    self.send_header("Location", sts.location)
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
                """Stay quiet."""

        self._lock = threading.Lock()
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.endpoint = f"http://127.0.0.1:{self.http.server_port}"
        self._thread = threading.Thread(target=self.http.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop and free the port."""
        self.http.shutdown()
        self.http.server_close()
        self._thread.join()

    def answer(self, form: dict[str, str]) -> Answer:
        """What it says to a request."""
        with self._lock:
            self.asked.append(form)
            number = len(self.asked)
            if self.instead:
                return self.instead.pop(0)
        problem = self._problem(form)
        if problem:
            return problem
        return granted(number, (self.now() + timedelta(seconds=self.seconds)).strftime("%Y-%m-%dT%H:%M:%SZ"))

    def _problem(self, form: dict[str, str]) -> Answer | None:
        if (form.get("Action"), form.get("Version")) != ("AssumeRoleWithWebIdentity", "2011-06-15"):
            return refusal("InvalidAction")
        try:
            payload = form["WebIdentityToken"].split(".")[1]
            claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        except (KeyError, ValueError, IndexError):
            return refusal("InvalidIdentityToken", "the token is malformed")
        if claims["iss"] != ISSUER:
            return refusal("InvalidIdentityToken", f"no OpenIDConnect provider found for {claims['iss']}")
        if AUDIENCE not in claims["aud"]:
            return refusal("InvalidIdentityToken", "Incorrect token audience")
        if claims["exp"] <= self.now().timestamp():
            return refusal("ExpiredTokenException", "Token expired")
        role = form.get("RoleArn", "")
        if role not in self.roles:
            if not role:
                return refusal("ValidationError", "Value null at 'roleArn' failed to satisfy constraint")
            return refusal("AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity", status=403)
        return None

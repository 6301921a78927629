"""An OpenID issuer on loopback: signs tokens as a cluster does for its ServiceAccounts, and publishes its keys."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from joserfc import jwt
from joserfc.jwk import RSAKey

DISCOVERY, KEYS = "/.well-known/openid-configuration", "/openid/v1/jwks"


class Issuer:
    """Signs with its own key; `url` is what its tokens name as `iss`, and where its keys are."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.key = RSAKey.generate_key(2048, {"kid": f"key-of-{url}", "use": "sig", "alg": "RS256"}, private=True)

    def token(
        self, subject: str, *, audience: str, seconds: float = 600, key: RSAKey | None = None, **claims: Any
    ) -> str:
        """A token that is valid for `seconds` from now; `key` signs in place of the issuer's, under its name."""
        now = int(time.time())
        content = {
            "iss": self.url,
            "sub": subject,
            "aud": [audience],
            "iat": now - 3600,
            "nbf": now - 3600,
            "exp": int(now + seconds),
            **claims,
        }
        return jwt.encode({"alg": "RS256", "kid": self.key.kid}, content, key or self.key)

    @property
    def documents(self) -> dict[str, Any]:
        """What it publishes, by path."""
        return {
            DISCOVERY: {"issuer": self.url, "jwks_uri": f"{self.url}{KEYS}"},
            KEYS: {"keys": [self.key.as_dict(private=False)]},
        }


@contextmanager
def serving() -> Iterator[Issuer]:
    """Serve a new issuer's documents on a free port of 127.0.0.1."""

    class Handler(BaseHTTPRequestHandler):
        timeout = 5

        def do_GET(self) -> None:
            found = issuer.documents.get(self.path)
            body = json.dumps(found).encode()
            self.send_response_only(200 if found else 404)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
            """Stay quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        issuer = Issuer(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), name="issuer")
        thread.start()
        try:
            yield issuer
        finally:
            server.shutdown()
            thread.join()

"""Call the cluster's API server. Invariant: each call is made as administrator and has a timeout."""

from __future__ import annotations

import ssl
import urllib.error
import urllib.request
from functools import partial

from . import process, waiting
from .layout import Layout


def kubectl(layout: Layout, *arguments: str, stdin: str | None = None, timeout: float = 60) -> str:
    """Run kubectl and return its standard output; raises CommandError."""
    argv = [layout.binary("kubectl"), "--kubeconfig", layout.kubeconfig_of("super-admin"), *arguments]
    return process.run(argv, state=layout.state, stdin=stdin, timeout=timeout)


def wait(layout: Layout, *arguments: str, seconds: float = 120) -> None:
    """`kubectl wait`, also for what does not exist yet; raises WaitError."""
    waiting.kubectl_wait(partial(kubectl, layout), *arguments, seconds=seconds)


def apply(layout: Layout, manifest: str) -> None:
    """Create or update the objects of a YAML text."""
    kubectl(layout, "apply", "--server-side", "--force-conflicts", "-f", "-", stdin=manifest)


def answers(layout: Layout) -> bool:
    """Whether the API server reports that it is ready."""
    context = ssl.create_default_context(cafile=str(layout.pki / "ca.crt"))
    return http_ok(f"{layout.server}/readyz", context)


def http_ok(url: str, context: ssl.SSLContext | None = None) -> bool:
    """Whether a GET without a proxy gets status 200 within two seconds."""
    handlers: list[urllib.request.BaseHandler] = [urllib.request.ProxyHandler({})]
    if context is not None:
        handlers.append(urllib.request.HTTPSHandler(context=context))
    try:
        with urllib.request.build_opener(*handlers).open(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False

"""`make demo-down` on a cluster of the user's own removes what the demo installed, and nothing else."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from trdemo import install
from trdemo.target import Target


@pytest.mark.parametrize("crd", ["customresourcedefinition/trainingruns.trainingrun.dev", ""], ids=["installed", "not"])
def test_no_namespace_is_deleted(crd: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both may have been there before, with other objects in them."""
    asked: list[tuple[str, ...]] = []

    def kubectl(*arguments: str, **_: Any) -> str:
        asked.append(arguments)
        return crd if arguments[0] == "get" else ""

    monkeypatch.setattr(install, "helm", lambda _, *arguments: asked.append(("helm", *arguments)))
    install.uninstall(cast("Target", SimpleNamespace(kubectl=kubectl)), run="tire", namespace="vision")
    deleted = [arguments[1:3] for arguments in asked if arguments[0] == "delete"]
    assert deleted == ([("trainingrun", "tire")] if crd else [])
    assert asked[-1][:3] == ("helm", "uninstall", install.RELEASE)

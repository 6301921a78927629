"""Errors about the machine or the arguments are one line, and nothing has been started or created."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from trcluster import Cluster, ClusterError, debian
from trcluster.checks import Probes, check_go
from trcluster.cli import main

GIB = 2**30
GO = "go version go9.9 linux/amd64"


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("CLUSTER", raising=False)
    return tmp_path / "trainingrun"


def plenty(_path: Path) -> int:
    return 100 * GIB


REFUSED: list[tuple[str, str, Probes, str]] = [
    ("no-root", "node", Probes(uid=lambda: 1000), "tier node needs root"),
    ("cgroup-v2", "node", Probes(uid=lambda: 0, cgroup_v1=lambda: False), "CLUSTER=current"),
    ("arm", "node", Probes(uid=lambda: 0, machine=lambda: "aarch64"), "x86_64 only"),
    ("no-go", "api", Probes(go_version=lambda: None, free_bytes=plenty), "Go is not installed: install Go >= 1"),
    (
        "old-go",
        "api",
        Probes(go_version=lambda: "go version go1.21.3 linux/amd64", free_bytes=plenty),
        "Go is too old: .*go1.21.3.*put Go >= 1.2",
    ),
    (
        "no-disk-to-build",
        "api",
        Probes(go_version=lambda: GO, free_bytes=lambda _: 5 * GIB),
        "not enough disk for building the cluster: 5.0 GiB free .* 12 GiB are needed",
    ),
    ("no-disk-to-run", "api", Probes(free_bytes=lambda _: GIB), "not enough disk for running the cluster"),
]


@pytest.mark.parametrize(("tier", "probes", "message"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_up_refuses_and_leaves_nothing(own_cache: Path, tier: str, probes: Probes, message: str) -> None:
    with pytest.raises(ClusterError, match=message) as caught:
        Cluster("t", tier=tier, probes=probes).up()
    assert "\n" not in str(caught.value)
    assert not (own_cache / "clusters" / "t").exists()


@pytest.mark.parametrize(
    "text", ["go version go1.25.0 linux/amd64", "go version go1.26.8 linux/amd64", "go version go2.0rc1 linux/arm64"]
)
def test_a_go_that_is_new_enough_is_taken(text: str) -> None:
    assert check_go(Probes(go_version=lambda: text), at_least=(1, 25, 0)) == text


LINES: list[tuple[str, list[str], str]] = [
    ("status-without-cluster", ["status", "--name", "nobody"], "there is no cluster 'nobody': 'up --name nobody'"),
    ("kubeconfig-without-cluster", ["kubeconfig"], "there is no cluster 'default'"),
    ("bad-name", ["up", "--name", "No_Name"], "cluster name 'No_Name'"),
    ("no-such-image", ["up", "--tier", "api", "--images", "/nowhere.tar"], "/nowhere.tar does not exist"),
    ("no-nodes", ["up", "--tier", "fleet", "--nodes", "0"], "--nodes: at least 1"),
    ("unknown-binary", ["bin", "kubecuttle"], "no such command: kubecuttle; known: "),
]


@pytest.mark.parametrize(("argv", "message"), [row[1:] for row in LINES], ids=[row[0] for row in LINES])
def test_an_error_is_one_line(capsys: pytest.CaptureFixture[str], argv: list[str], message: str) -> None:
    assert main(argv) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("trcluster: ")
    assert message in captured.err
    assert captured.err.count("\n") == 1


def test_down_without_a_cluster_is_harmless() -> None:
    assert main(["down"]) == 0


def test_a_program_that_is_no_go_gives_no_traceback(tmp_path: Path) -> None:
    fake = tmp_path / "bin" / "go"
    fake.parent.mkdir()
    fake.write_text("#!/bin/sh\necho go version go1.19 linux/amd64\n")
    fake.chmod(0o755)
    done = subprocess.run(
        [sys.executable, "-m", "trcluster", "build", "--tier", "api"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=Path(__file__).resolve().parents[1],
        env={**os.environ, "PATH": f"{fake.parent}:/usr/bin:/bin"},
    )
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("trcluster: Go is too old: 'go version go1.19 linux/amd64'")
    assert done.stderr.count("\n") == 1


def test_missing_packages_are_named_when_not_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(debian, "missing", lambda: ["buildah", "runc"])
    with pytest.raises(ClusterError, match="run as root, or first: apt-get install buildah runc"):
        debian.ensure(echo=lambda _: None, uid=1000)


@pytest.mark.parametrize(
    ("present", "package"),
    [(lambda _: None, "containerd"), (lambda program: None if program == "ip" else "/x", "iproute2")],
    ids=["nothing-there", "one-missing"],
)
def test_packages_come_from_missing_programs(present: Callable[[str], str | None], package: str) -> None:
    assert package in debian.missing(present)


def test_cluster_current_uses_the_kubeconfig_at_hand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = tmp_path / "mine"
    mine.write_text("apiVersion: v1\n")
    monkeypatch.setenv("CLUSTER", "current")
    monkeypatch.setenv("KUBECONFIG", f"{mine}:/other")
    assert main(["up"]) == 0
    assert main(["kubeconfig"]) == 0
    assert capsys.readouterr().out == f"{mine}\n"
    assert main(["service", "kill", "etcd"]) == 1
    assert not (tmp_path / "trainingrun").exists()


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [("CLUSTER", "kind", "CLUSTER='kind' is not known"), ("KUBECONFIG", "/nowhere", "/nowhere does not exist")],
    ids=["unknown-value", "no-kubeconfig"],
)
def test_cluster_current_errors(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], variable: str, value: str, message: str
) -> None:
    monkeypatch.setenv("CLUSTER", "current")
    monkeypatch.setenv(variable, value)
    assert main(["kubeconfig"]) == 1
    assert message in capsys.readouterr().err

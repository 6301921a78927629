"""Building binaries: progress, retries, cache and logs. A script replaces the go command."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from trcluster import build, modules
from trcluster.checks import Probes
from trcluster.errors import ClusterError
from trcluster.modules import Module
from trcluster.paths import MODULES

SCRIPT = """\
#!/bin/sh
[ "$1" = version ] && { echo go version go1.26.8 linux/amd64; exit 0; }
echo run >> "$COUNT"
[ "$(wc -l < "$COUNT")" -le "$FAILURES" ] && { echo "$ERROR" >&2; exit 1; }
sleep "$SECONDS_TO_BUILD"
echo binary > "$3"
"""
NETWORK = "go: example.com/x@v1.0.0: Get https://proxy.example/x: dial tcp 192.0.2.1:443: i/o timeout"


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder, a module named demo, and a go command that fails FAILURES times with ERROR."""
    program = tmp_path / "bin" / "go"
    program.parent.mkdir()
    program.write_text(SCRIPT)
    program.chmod(0o755)
    source = tmp_path / "modules" / "demo"
    source.mkdir(parents=True)
    (source / "go.mod").write_text("module demo\n\ngo 1.22\n")
    demo = Module("demo", "v1", ".", "multi", commands=("demo", "alias"))
    settings = {"COUNT": str(tmp_path / "count"), "FAILURES": "0", "ERROR": "", "SECONDS_TO_BUILD": "0"}
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(build, "MODULES", source.parent)
    monkeypatch.setattr(build, "BY_COMMAND", {"alias": demo, "demo": demo})
    monkeypatch.setattr("trcluster.build.time.sleep", lambda _: None)
    return tmp_path


def runs(machine: Path) -> int:
    return len((machine / "count").read_text().splitlines())


def test_a_built_module_is_not_built_again(machine: Path) -> None:
    lines: list[str] = []
    first = build.ensure(["demo", "alias"], echo=lines.append)
    assert build.ensure(["demo", "alias"], echo=lines.append) == first
    assert runs(machine) == 1
    assert first["alias"].read_text() == "binary\n"
    assert lines[0] == "build 1/1 demo v1 (demo, alias)"
    assert lines[-1].startswith("build 1/1 demo: done in ")


def test_a_long_build_shows_that_it_lives(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECONDS_TO_BUILD", "0.5")
    monkeypatch.setattr(build, "HEARTBEAT_SECONDS", 0.1)
    lines: list[str] = []
    build.ensure(["demo"], echo=lines.append)
    assert len([line for line in lines if re.fullmatch(r"build 1/1 demo: \d+ s", line)]) >= 2


def test_a_flaky_network_is_tried_again(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAILURES", "2")
    monkeypatch.setenv("ERROR", NETWORK)
    lines: list[str] = []
    assert build.ensure(["demo"], echo=lines.append)["demo"].exists()
    assert runs(machine) == 3
    assert "build 1/1 demo: download failed, attempt 2 of 5 in 2 s" in lines


@pytest.mark.parametrize(
    ("error", "expected_runs"),
    [("main.go:1:1: syntax error", 1), (NETWORK, build.ATTEMPTS)],
    ids=["own-error", "network-stays-away"],
)
def test_a_failed_build_shows_its_end_and_keeps_its_log(
    machine: Path, monkeypatch: pytest.MonkeyPatch, error: str, expected_runs: int
) -> None:
    monkeypatch.setenv("FAILURES", "9")
    monkeypatch.setenv("ERROR", error)
    log = machine / "cache" / "trainingrun" / "bin" / "demo.log"
    with pytest.raises(ClusterError) as caught:
        build.ensure(["demo"], echo=lambda _: None)
    assert str(caught.value) == f"building demo failed with exit code 1 (whole output: {log}):\n{error}"
    assert runs(machine) == expected_runs
    assert log.read_text() == f"{error}\n"
    assert [path.name for path in log.parent.iterdir() if path.is_dir()] == []


def test_a_warm_cache_needs_less_disk_than_a_cold_one(machine: Path) -> None:
    probes = Probes(free_bytes=lambda _: 5 * 2**30)
    with pytest.raises(ClusterError, match="12 GiB are needed"):
        build.ensure(["demo"], echo=lambda _: None, probes=probes)
    (machine / "cache" / "trainingrun" / "go" / "build").mkdir(parents=True)
    assert build.ensure(["demo"], echo=lambda _: None, probes=probes)


def test_the_multi_call_binary_has_all_kubernetes_commands() -> None:
    source = (MODULES / "k8s" / "main.go").read_text()
    assert all(f'case "{command}":' in source for command in modules.KUBERNETES_COMMANDS)

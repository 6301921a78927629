"""Command lines, ports, build keys and image archives of a cluster, without starting anything."""

from __future__ import annotations

import json
import re
import tarfile
from pathlib import Path

import pytest

from trcluster import build, cgroups, conffiles, debian, modules, oci, pki, ports
from trcluster.component import flags
from trcluster.errors import ClusterError
from trcluster.layout import Layout, Ports, Tier, load
from trcluster.modules import ALL, Module
from trcluster.paths import MODULES
from trcluster.tiers import COMMANDS, COMPONENTS


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "trainingrun"


@pytest.fixture(autouse=True)
def packages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Command lines can be built without Debian's programs, which a fresh machine lacks."""
    monkeypatch.setattr(debian, "find", "/usr/bin/{}".format)
    monkeypatch.setattr(debian, "cni_folder", lambda: Path("/usr/lib/cni"))


def layout(tier: Tier, **changes: object) -> Layout:
    binaries = {command: f"/bin/{command}" for command in COMMANDS[tier]}
    values: dict[str, object] = {"name": "t", "tier": tier, "ports": Ports(), "binaries": binaries, **changes}
    return Layout(**values)  # type: ignore[arg-type]


def save_account(of: Layout) -> None:
    of.state.mkdir(parents=True)
    (of.state / "s3.json").write_text('{"accessKey": "key", "secretKey": "very-secret"}')


@pytest.mark.parametrize("tier", list(Tier), ids=str)
def test_every_command_line_is_complete(tier: Tier) -> None:
    chosen = layout(tier)
    for component in COMPONENTS[tier]:
        argv = list(component.argv(chosen))
        assert Path(argv[0]).is_absolute()
        assert all(isinstance(word, str) and word for word in argv)


@pytest.mark.parametrize("tier", [Tier.API, Tier.FLEET], ids=str)
def test_without_a_node_everything_listens_on_loopback(tier: Tier) -> None:
    chosen = layout(tier)
    words = [word for component in COMPONENTS[tier] for word in component.argv(chosen)]
    assert not [word for word in words if "0.0.0.0" in word or "10.87." in word]  # noqa: S104


def test_the_s3_secret_is_in_no_argument() -> None:
    chosen = layout(Tier.NODE)
    save_account(chosen)
    server = next(each for each in COMPONENTS[Tier.NODE] if each.name == "s3")
    assert not [word for word in server.argv(chosen) if "very-secret" in word]
    assert server.environment(chosen)["ROOT_SECRET_KEY"] == "very-secret"


@pytest.mark.parametrize(("audit", "count"), [(False, 0), (True, 2)], ids=["off", "on"])
def test_audit_flags_only_on_request(audit: bool, count: int) -> None:
    chosen = layout(Tier.API, audit=audit)
    server = next(each for each in COMPONENTS[Tier.API] if each.name == "kube-apiserver")
    assert len([word for word in server.argv(chosen) if word.startswith("--audit-")]) == count


def test_flags_keep_order_and_spell_booleans() -> None:
    assert flags(leader_elect=False, secure_port=1) == ["--leader-elect=false", "--secure-port=1"]


@pytest.mark.parametrize("tier", list(Tier), ids=str)
def test_templates_have_no_unknown_key(tier: Tier) -> None:
    chosen = layout(tier)
    chosen.conf.mkdir(parents=True)
    conffiles.write(chosen)
    for path in chosen.conf.rglob("*"):
        assert path.is_dir() or not re.search(r"@[A-Z0-9_]+@", path.read_text())


def test_kubeadm_gets_an_address_it_accepts() -> None:
    assert "127.0.0.1:6443" in pki.config(layout(Tier.API))
    assert 'advertiseAddress: "127.' not in pki.config(layout(Tier.API))


def test_only_the_kubelet_of_a_node_has_an_address_of_the_server_for_itself() -> None:
    node, fleet = layout(Tier.NODE), layout(Tier.FLEET)
    assert node.server_of("kubelet") == "https://127.0.0.2:6443"
    assert {node.server_of(user) for user in ("scheduler", "kube-proxy", "super-admin")} == {node.server}
    assert fleet.server_of("kubelet") == fleet.server
    assert '"127.0.0.2"' in pki.config(node)


def test_layout_survives_saving() -> None:
    chosen = layout(Tier.FLEET, ports=Ports(apiserver=20001), fake_nodes=3)
    chosen.state.mkdir(parents=True)
    chosen.save()
    assert load(chosen.state) == chosen


def test_a_damaged_layout_names_the_file_and_the_cure(own_cache: Path) -> None:
    folder = own_cache / "clusters" / "broken"
    folder.mkdir(parents=True)
    (folder / "cluster.json").write_text("{")
    with pytest.raises(ClusterError, match=r"broken/cluster.json is damaged .*'down --name broken'"):
        load(folder)


def test_ports_are_different_free_and_not_taken() -> None:
    taken = set(range(20000, 29000))
    chosen = ports.choose(7, taken, free=lambda port: port % 2 == 0)
    assert len(set(chosen)) == 7
    assert not set(chosen) & taken
    assert all(port % 2 == 0 for port in chosen)


def test_no_free_port_is_said() -> None:
    with pytest.raises(ClusterError, match="no 2 free TCP ports between 20000 and 29999"):
        ports.choose(2, [], free=lambda port: port == 20000)


def test_ports_of_another_cluster_are_reserved(own_cache: Path) -> None:
    other = layout(Tier.API, ports=Ports(*range(21000, 21007)))
    other.state.mkdir(parents=True)
    other.save()
    with ports.reservation(own_cache / "clusters") as taken:
        assert taken == set(range(21000, 21007))


@pytest.mark.parametrize("module", ALL, ids=[module.name for module in ALL])
def test_versions_equal_those_in_go_mod(module: Module) -> None:
    if module.name in ("pause", "probe"):
        assert (MODULES / module.name / "go.mod").exists()
        return
    text = (MODULES / module.name / "go.mod").read_text()
    assert re.search(rf" {re.escape(module.version)}( // indirect)?$", text, re.MULTILINE)
    assert (MODULES / module.name / "go.sum").stat().st_size > 1000


def test_the_build_key_covers_sources_flags_and_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "MODULES", tmp_path)
    folder = tmp_path / "demo"
    folder.mkdir()
    (folder / "go.mod").write_text("module demo\n")
    (folder / "main.go").write_text("package main\n")
    module = Module("demo", "1", ".", "demo")
    keys = [build.key(module, "go1")]
    keys.append(build.key(module, "go2"))
    keys.append(build.key(Module("demo", "1", ".", "demo", {"main.Version": "1"}), "go1"))
    (folder / "main.go").write_text("package main // changed\n")
    keys.append(build.key(module, "go1"))
    assert len(set(keys)) == len(keys)


def test_every_command_of_a_tier_is_built_by_one_module() -> None:
    wanted = {command for commands in COMMANDS.values() for command in commands}
    assert wanted <= set(modules.BY_COMMAND)


def test_an_archive_says_its_reference_and_is_reproducible(tmp_path: Path) -> None:
    binary = tmp_path / "pause"
    binary.write_bytes(b"\x7fELF")
    for name in ("a.tar", "b.tar"):
        oci.write_single_binary(tmp_path / name, reference="registry.k8s.io/pause:1", binary=binary)
    assert (tmp_path / "a.tar").read_bytes() == (tmp_path / "b.tar").read_bytes()
    (digest,) = oci.references(tmp_path / "a.tar").values()
    with tarfile.open(tmp_path / "a.tar") as tar:
        assert f"blobs/sha256/{digest.removeprefix('sha256:')}" in tar.getnames()


@pytest.mark.parametrize(
    ("annotations", "expected"),
    [
        ({"io.containerd.image.name": "a/b:1", "org.opencontainers.image.ref.name": "1"}, {"a/b:1": "sha256:0"}),
        ({"org.opencontainers.image.ref.name": "localhost/b:2"}, {"localhost/b:2": "sha256:0"}),
        ({"org.opencontainers.image.ref.name": "latest"}, {}),
        (None, {}),
    ],
    ids=["containerd", "full-reference", "tag-only", "unnamed"],
)
def test_references_of_an_archive(tmp_path: Path, annotations: dict[str, str] | None, expected: dict[str, str]) -> None:
    index = tmp_path / "index.json"
    index.write_text(json.dumps({"manifests": [{"digest": "sha256:0", "annotations": annotations}]}))
    with tarfile.open(tmp_path / "image.tar", "w") as tar:
        tar.add(index, "index.json")
    assert oci.references(tmp_path / "image.tar") == expected


def test_what_is_no_archive_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "image.tar"
    path.write_text("no tar")
    with pytest.raises(ClusterError, match=r"image.tar is not an OCI image archive"):
        oci.references(path)


def test_hierarchies_are_read_from_mountinfo() -> None:
    text = (
        "30 29 0:25 / /sys/fs/cgroup/cpu rw shared:1 - cgroup cgroup rw,cpu\n"
        "31 29 0:26 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"
        "32 29 0:27 / /proc rw - proc proc rw\n"
    )
    assert cgroups.hierarchies(text) == [Path("/sys/fs/cgroup/cpu")]
    assert len(cgroups.hierarchies(text, ("cgroup", "cgroup2"))) == 2

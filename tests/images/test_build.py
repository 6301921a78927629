"""Building images: the program and bases that are used, and the error messages."""

from __future__ import annotations

import io
import json
import os
import shutil
import sys
import tarfile
import zlib
from pathlib import Path

import pytest

from trcluster.waiting import until
from trimages import cpython, debian, packages
from trimages.build import build, choose_base, copy_archives
from trimages.cli import main
from trimages.engines import Buildah, Docker, Request
from trimages.errors import BuildError
from trimages.paths import REPOSITORY, Cache
from trimages.plan import plan, remember_base
from trimages.process import output, run, run_with_retries
from trimages.sizes import Size, measure
from trimages.spec import IMAGES

# Replaces docker and buildah: logs its arguments and writes the requested archive.
PROGRAM = """#!/bin/sh
echo "$@" >> {calls}
for word; do
    case "$word" in
        oci-archive:*) file="${{word#oci-archive:}}"; echo archive > "${{file%%:*}}" ;;
        *.partial) echo archive > "$word" ;;
    esac
done
"""


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Arguments of all calls of docker and buildah, one line per call."""
    file, programs = tmp_path / "calls", tmp_path / "programs"
    programs.mkdir()
    for name in ("docker", "buildah"):
        program = programs / name
        program.write_text(PROGRAM.format(calls=file), encoding="utf-8")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    return file


def is_running(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    except FileNotFoundError:
        return False


def _request(tmp_path: Path) -> Request:
    return Request("agent", tmp_path / "Dockerfile", tmp_path, "trainingrun.dev/agent:1-0123456789ab", {"VERSION": "1"})


def test_docker_builds_and_saves(tmp_path: Path, cache: Cache, calls: Path) -> None:
    archive = cache.archives / "agent.tar"
    Docker(cache, print).build(_request(tmp_path), archive=archive)
    built, saved = calls.read_text(encoding="utf-8").splitlines()
    assert built.startswith(f"build --file {tmp_path}/Dockerfile --tag trainingrun.dev/agent:1-0123456789ab")
    assert saved.startswith("save --output ")
    assert archive.read_text(encoding="utf-8") == "archive\n"


def test_buildah_uses_a_storage_of_its_own(tmp_path: Path, cache: Cache, calls: Path) -> None:
    archive = cache.archives / "agent.tar"
    Buildah(cache, print).build(_request(tmp_path), archive=archive)
    lines = calls.read_text(encoding="utf-8").splitlines()
    assert len(lines) == 3
    assert all(line.startswith(f"--root {cache.root}/storage --runroot {cache.root}/storage-run ") for line in lines)
    assert archive.read_text(encoding="utf-8") == "archive\n"


def test_certificates_of_the_host_are_mounted_only_if_it_names_them(
    tmp_path: Path, cache: Cache, calls: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = tmp_path / "bundle.crt"
    bundle.write_text("certificates", encoding="utf-8")
    for value in ("", str(tmp_path / "absent.crt"), str(bundle)):
        monkeypatch.setenv("SSL_CERT_FILE", value)
        Buildah(cache, print).build(_request(tmp_path), archive=cache.archives / "agent.tar")
    builds = [line for line in calls.read_text(encoding="utf-8").splitlines() if " bud " in line]
    assert [f"--volume {bundle}:" in line and "PIP_CERT=" in line for line in builds] == [False, False, True]


def test_what_is_built_is_not_built_again(cache: Cache, calls: Path) -> None:
    for item in plan(IMAGES, repository=REPOSITORY, cache=cache, base="local"):
        item.archive.write_text("archive", encoding="utf-8")
    planned = build(IMAGES, requested_base="local", repository=REPOSITORY, cache=cache, echo=print)
    assert all(item.built for item in planned)
    assert not calls.exists()


def test_an_image_whose_files_change_while_it_is_built_is_thrown_away(
    tmp_path: Path, cache: Cache, calls: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = tmp_path / "repository"
    shutil.copytree(REPOSITORY / "operator", repository / "operator")
    shutil.copy(REPOSITORY / ".dockerignore", repository)
    monkeypatch.setattr(
        Docker, "build", lambda _, request, archive: (archive.write_text("a"), request.dockerfile.write_text("FROM b"))
    )
    with pytest.raises(BuildError, match="files of image operator changed while it was built: build it again"):
        build(IMAGES[:1], requested_base="registry", repository=repository, cache=cache, echo=print)
    assert not list(cache.archives.iterdir())


def test_archives_are_copied_to_the_given_folder(tmp_path: Path, cache: Cache) -> None:
    planned = plan(IMAGES[:1], repository=REPOSITORY, cache=cache, base="local")
    planned[0].archive.write_text("archive", encoding="utf-8")
    for _ in range(2):
        copy_archives(planned, tmp_path / "out")
    assert (tmp_path / "out" / "operator.tar").read_text(encoding="utf-8") == "archive"


@pytest.mark.parametrize(
    ("docker", "pulls", "expected"),
    [
        pytest.param(True, False, "registry", id="docker answers"),
        pytest.param(False, True, "registry", id="buildah pulls"),
        pytest.param(False, False, "local", id="no registry"),
    ],
)
def test_bases_come_from_a_registry_where_one_answers(
    cache: Cache, calls: Path, *, docker: bool, pulls: bool, expected: str
) -> None:
    if not pulls:
        (calls.parent / "programs" / "buildah").write_text("#!/bin/sh\nexit 125\n", encoding="utf-8")
    assert choose_base(docker=docker, cache=cache, echo=print) == expected


def test_list_prints_reference_and_archive(cache: Cache, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--cache", str(cache.root), "list", "--json", "--base", "local", "--only", "agent"]) == 0
    agent = json.loads(capsys.readouterr().out)["agent"]
    assert agent["ref"].startswith("trainingrun.dev/agent:")
    assert agent["archive"].startswith(str(cache.archives))
    assert agent["built"] is False


def test_list_uses_the_bases_of_the_last_build(cache: Cache, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--cache", str(cache.root), "list", "--json"]) == 1
    assert "no image was built here yet: run 'make images'" in capsys.readouterr().err
    remember_base(cache, "local")
    assert main(["--cache", str(cache.root), "list", "--json"]) == 0


def test_failure_names_cause_and_log(tmp_path: Path, cache: Cache) -> None:
    log = cache.log("step")
    command = [sys.executable, "-c", "print('Error: no space left on device'); raise SystemExit(3)"]
    with pytest.raises(BuildError, match=rf"step failed \(Error: no space left on device\); log: {log}"):
        run(command, label="step", log=log, timeout=60, echo=print)


def test_failure_shows_the_last_lines_of_the_log(cache: Cache) -> None:
    """The error shows the end of the log, because the machine with the log may be gone."""
    program = "print('unpacking'); print('Error: no space'); print('cleaning up'); raise SystemExit(3)"
    with pytest.raises(BuildError, match=r"its last lines:\n\$ .*\nunpacking\nError: no space\ncleaning up$"):
        run([sys.executable, "-c", program], label="step", log=cache.log("step"), timeout=60, echo=print)


def test_a_short_command_that_fails_shows_exit_code_and_output() -> None:
    program = "import sys; print('half done'); sys.exit('no such image')"
    with pytest.raises(BuildError, match=r"failed with exit code 1:\nhalf done\n+no such image$"):
        output([sys.executable, "-c", program], timeout=60)


def test_a_command_beyond_its_limit_is_ended_with_its_children(tmp_path: Path, cache: Cache) -> None:
    pid = tmp_path / "pid"
    script = f"sleep 300 & echo $! > {pid}; wait"
    with pytest.raises(BuildError, match="step did not end within 3 s"):
        run(["sh", "-c", script], label="step", log=cache.log("step"), timeout=3, echo=print)
    until(lambda: not is_running(int(pid.read_text())), what="the child to end", seconds=60, every=0.01)


@pytest.mark.parametrize(
    ("output", "attempts"),
    [
        pytest.param("Read timed out.", 3, id="network"),
        pytest.param("503 Service Unavailable", 3, id="server"),
        pytest.param("No matching distribution found", 1, id="not the network"),
    ],
)
def test_only_a_failing_network_is_tried_again(tmp_path: Path, cache: Cache, output: str, attempts: int) -> None:
    counter = tmp_path / "count"
    script = f"echo x >> {counter}; echo '{output}'; exit 1"
    with pytest.raises(BuildError, match="step failed"):
        run_with_retries(["sh", "-c", script], label="step", log=cache.log("step"), timeout=60, echo=print)
    assert len(counter.read_text(encoding="utf-8").split()) == attempts


@pytest.mark.parametrize(
    ("name", "text"),
    [
        pytest.param("sources.list", "# x\ndeb [arch=amd64] http://mirror.test/debian bookworm main\n", id="one line"),
        pytest.param(
            "sources.list.d/debian.sources",
            "Types: deb\nURIs: http://mirror.test/debian\nSuites: bookworm\n",
            id="deb822",
        ),
    ],
)
def test_debian_mirror_is_the_one_of_the_host(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, text: str
) -> None:
    monkeypatch.delenv("DEBIAN_MIRROR", raising=False)
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / "sources.list.d" / "a.list").write_text("deb http://other.test/apt stable main\n", encoding="utf-8")
    (tmp_path / name).write_text(text, encoding="utf-8")
    assert debian.mirror(tmp_path) == "http://mirror.test/debian"


def test_debian_mirror_can_be_set_and_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DEBIAN_MIRROR", raising=False)
    with pytest.raises(BuildError, match="set DEBIAN_MIRROR"):
        debian.mirror(tmp_path)
    monkeypatch.setenv("DEBIAN_MIRROR", "http://mine.test/debian")
    assert debian.mirror(tmp_path) == "http://mine.test/debian"


def test_cpython_with_another_digest_is_refused(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "find", lambda program: program)
    folder = cache.folder("maven") / "org/bytedeco/cpython/3.7.7-1.5.3"
    folder.mkdir(parents=True)
    (folder / "cpython-3.7.7-1.5.3-linux-x86_64.jar").write_bytes(b"something else")
    with pytest.raises(BuildError, match=r"has SHA-256 .*: delete .* and build again"):
        cpython.make_tar(cache.bases / "cpython.tar", cache=cache, echo=print)
    assert not list(cache.bases.iterdir())


def test_missing_programs_are_named_where_apt_cannot_install_them(
    cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packages, "find", lambda _: None)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(BuildError, match=r"missing buildah runc: .* apt-get install buildah runc"):
        packages.ensure(["runc", "buildah"], cache=cache, echo=print)


@pytest.mark.parametrize("compressed", [True, False])
def test_sizes_count_both_kinds_of_layers(tmp_path: Path, *, compressed: bool) -> None:
    layer = b"data" * 10_000
    packer = zlib.compressobj(6, wbits=31)
    packed = packer.compress(layer) + packer.flush()
    blobs = {
        "index.json": json.dumps({"manifests": [{"digest": "sha256:aa"}]}).encode(),
        "blobs/sha256/aa": json.dumps({"layers": [{"digest": "sha256:bb"}]}).encode(),
        "blobs/sha256/bb": packed if compressed else layer,
    }
    with tarfile.open(tmp_path / "image.tar", "w") as tar:
        for name, data in blobs.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    size = measure(tmp_path / "image.tar")
    assert size == Size(layers=1, unpacked=40_000, compressed=size.compressed)
    assert 0 < size.compressed < 1000


def test_sizes_refuse_what_is_no_image(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "image.tar", "w"):
        pass
    with pytest.raises(BuildError, match="is not an image archive"):
        measure(tmp_path / "image.tar")

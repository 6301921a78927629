"""Rules that the repository's Dockerfiles and requirement files keep."""

from __future__ import annotations

import re
import tomllib

import pytest

from trimages.paths import REPOSITORY
from trimages.requirements import ALL
from trimages.spec import IMAGES, product_version

DOCKERFILES = [pytest.param(image.dockerfile, id=image.name) for image in IMAGES]
REQUIREMENTS = [pytest.param(item.target, id=item.target) for item in ALL]


def _instructions(dockerfile: str) -> list[str]:
    text = (REPOSITORY / dockerfile).read_text(encoding="utf-8")
    kept = "\n".join(line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#"))
    return re.sub(r"\s*\\\n\s*", " ", kept).splitlines()


def _last_stage(dockerfile: str) -> list[str]:
    instructions = _instructions(dockerfile)
    start = max(number for number, line in enumerate(instructions) if line.startswith("FROM "))
    return instructions[start:]


@pytest.mark.parametrize("dockerfile", DOCKERFILES)
def test_runs_as_a_numeric_user_that_is_not_root(dockerfile: str) -> None:
    users = [line.split()[1] for line in _last_stage(dockerfile) if line.startswith("USER ")]
    assert users[-1:] == ["65532:65532"]


@pytest.mark.parametrize("dockerfile", DOCKERFILES)
def test_has_a_pinned_default_base_and_uses_it_in_every_stage(dockerfile: str) -> None:
    instructions = _instructions(dockerfile)
    assert re.fullmatch(r"ARG BASE_IMAGE=[a-z/]+:(?!latest)\S+", instructions[0])
    assert {line.split()[1] for line in instructions if line.startswith("FROM ")} <= {"${BASE_IMAGE}", "base"}


@pytest.mark.parametrize("dockerfile", DOCKERFILES)
def test_last_stage_installs_nothing(dockerfile: str) -> None:
    assert not [line for line in _last_stage(dockerfile) if re.search(r"apt-get|pip |PIP_|--mount", line)]


@pytest.mark.parametrize("dockerfile", DOCKERFILES)
def test_every_install_of_python_packages_checks_hashes(dockerfile: str) -> None:
    installs = [part for line in _instructions(dockerfile) for part in re.findall(r"pip install [^&;]*", line)]
    assert installs
    assert all("--require-hashes" in part and "--no-deps" in part for part in installs)


@pytest.mark.parametrize("dockerfile", DOCKERFILES)
def test_writes_nothing_but_tmp_at_run_time(dockerfile: str) -> None:
    environment = " ".join(line for line in _last_stage(dockerfile) if line.startswith("ENV "))
    assert "PYTHONDONTWRITEBYTECODE=1" in environment
    assert "HOME=/tmp" in environment


@pytest.mark.parametrize("dockerfile", DOCKERFILES)
@pytest.mark.parametrize("label", ["title", "description", "licenses", "version"])
def test_is_labelled(dockerfile: str, label: str) -> None:
    labels = " ".join(line for line in _last_stage(dockerfile) if line.startswith("LABEL "))
    assert re.search(rf'org\.opencontainers\.image\.{label}="[^"]+"', labels)


def test_trainer_removes_the_lists_with_the_old_key_before_anything_else() -> None:
    stage = _instructions("Dockerfile.trainer")[1:3]
    assert stage[0] == "FROM ${BASE_IMAGE} AS base"
    assert stage[1].startswith("RUN rm -f /etc/apt/sources.list.d/cuda*.list")


@pytest.mark.parametrize("target", REQUIREMENTS)
def test_requirements_are_pinned_and_hashed_and_hold_no_address(target: str) -> None:
    text = (REPOSITORY / target).read_text(encoding="utf-8")
    assert "://" not in text
    assert "--index-url" not in text
    entries = re.sub(r"\s*\\\n\s*", " ", text).splitlines()
    assert entries
    for entry in entries:
        assert re.fullmatch(r"[a-z0-9-]+==\S+( ; [^-]+)?( --hash=sha256:[0-9a-f]{64})+", entry)


@pytest.mark.parametrize("python", ["36", "37", "38"])
def test_trainer_requirements_leave_tensorflow_to_the_base(python: str) -> None:
    text = (REPOSITORY / f"images/trainer/requirements-py{python}.txt").read_text(encoding="utf-8")
    assert "tensorflow==" not in text
    assert "pycocotools==" in text


def test_all_packages_carry_the_version_of_the_product() -> None:
    agent = tomllib.loads((REPOSITORY / "images/agent/pyproject.toml").read_text(encoding="utf-8"))
    assert agent["project"]["version"] == product_version(REPOSITORY)

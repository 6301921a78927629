"""An image's tag depends on all files it is built from, and on nothing else."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from trimages.errors import BuildError
from trimages.inputs import content_hash, copied_paths, input_files
from trimages.paths import REPOSITORY, Cache
from trimages.plan import BASE_SOURCES, plan
from trimages.spec import IMAGES, select

DOCKERFILE = (
    "FROM scratch AS build\nCOPY lists/*.txt \\\n  /lists/\nFROM scratch\nCOPY --from=build /opt /opt\nCOPY app /app\n"
)


def _repository(folder: Path) -> Path:
    for name, text in {
        "Dockerfile": DOCKERFILE,
        ".dockerignore": "*\n",
        "lists/a.txt": "a",
        "lists/notes.md": "n",
        "app/main.py": "main",
        "app/deep/part.py": "part",
        "other/file.py": "other",
    }.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


def _hash(repository: Path, *, base_hash: str = "b", version: str = "1") -> str:
    return content_hash(repository, "Dockerfile", base_hash=base_hash, version=version)


def _write(name: str, text: str = "changed") -> Callable[[Path], None]:
    def change(repository: Path) -> None:
        path = repository / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")

    return change


def _rename(repository: Path) -> None:
    (repository / "app/main.py").rename(repository / "app/start.py")


def _make_executable(repository: Path) -> None:
    (repository / "app/main.py").chmod(0o755)


def _touch(repository: Path) -> None:
    os.utime(repository / "app/main.py", (1, 1))


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(_write("app/main.py"), id="source changed"),
        pytest.param(_write("app/deep/new.py"), id="source added"),
        pytest.param(_write("lists/a.txt"), id="requirements changed"),
        pytest.param(_write("lists/b.txt"), id="requirements added by pattern"),
        pytest.param(_write("Dockerfile", DOCKERFILE + "USER 65532\n"), id="Dockerfile changed"),
        pytest.param(_write(".dockerignore"), id="dockerignore changed"),
        pytest.param(_rename, id="source renamed"),
        pytest.param(_make_executable, id="made executable"),
    ],
)
def test_hash_changes_with_every_input(tmp_path: Path, change: Callable[[Path], None]) -> None:
    repository = _repository(tmp_path)
    before = _hash(repository)
    change(repository)
    assert _hash(repository) != before


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(_touch, id="modification time"),
        pytest.param(_write("other/file.py"), id="file that is not copied"),
        pytest.param(_write("lists/notes.md"), id="file outside the pattern"),
        pytest.param(_write("app/__pycache__/main.cpython-311.pyc"), id="compiled file"),
    ],
)
def test_hash_ignores_what_is_not_in_the_image(tmp_path: Path, change: Callable[[Path], None]) -> None:
    repository = _repository(tmp_path)
    before = _hash(repository)
    change(repository)
    assert _hash(repository) == before


def test_hash_depends_on_base_and_version(tmp_path: Path) -> None:
    repository = _repository(tmp_path)
    hashes = {_hash(repository), _hash(repository, base_hash="c"), _hash(repository, version="2")}
    assert len(hashes) == 3


def test_copied_reads_continued_lines_and_skips_other_stages(tmp_path: Path) -> None:
    assert copied_paths(_repository(tmp_path) / "Dockerfile") == ["lists/*.txt", "app"]


def test_missing_source_is_named(tmp_path: Path) -> None:
    repository = _repository(tmp_path)
    for file in (repository / "lists").glob("*.txt"):
        file.unlink()
    with pytest.raises(BuildError, match=r"Dockerfile copies 'lists/\*\.txt', but there is no such file"):
        input_files(repository, "Dockerfile")


def test_unknown_image_is_refused_with_the_known_ones() -> None:
    with pytest.raises(BuildError, match="no image 'nginx': choose from operator, agent, tensorboard, trainer"):
        select(["nginx"])


@pytest.mark.parametrize("base", BASE_SOURCES)
def test_references_carry_version_and_hash(tmp_path: Path, base: str) -> None:
    planned = plan(IMAGES, repository=REPOSITORY, cache=Cache(tmp_path), base=base)
    for item in planned:
        assert re.fullmatch(rf"trainingrun\.dev/{item.image.name}:\d+\.\d+\.\d+\S*-[0-9a-f]{{12}}", item.reference)
        assert item.archive.stem.rpartition("-")[2] == item.reference.rpartition("-")[2]
        assert not item.built


def test_local_and_registry_bases_give_different_images(tmp_path: Path) -> None:
    names = [
        {item.reference for item in plan(IMAGES, repository=REPOSITORY, cache=Cache(tmp_path), base=base)}
        for base in BASE_SOURCES
    ]
    assert not names[0] & names[1]

"""docs/servers.md says what the tests of `make servers` expect: servers, versions, and what each lacks."""

from __future__ import annotations

from importlib.metadata import version

import pytest

from trcluster.modules import BY_NAME
from trimages.paths import REPOSITORY
from trservers import catalogue, s3mock, s3proxy, s3s_fs
from trservers.lacks import LACKS

PAGE = (REPOSITORY / "docs" / "servers.md").read_text()
NAMES = {
    "versitygw": "versitygw",
    "seaweedfs": "SeaweedFS",
    "minio": "MinIO",
    "rclone": "rclone",
    "s3proxy": "S3Proxy",
    "s3s-fs": "s3s-fs",
    "s3mock": "S3Mock",
    "moto": "moto",
}
VERSIONS = {
    **{name: BY_NAME[name].version for name in ("versitygw", "seaweedfs", "minio", "rclone") if name in BY_NAME},
    "s3proxy": s3proxy.VERSION,
    "s3s-fs": s3s_fs.VERSION,
    "s3mock": s3mock.VERSION,
    "moto": version("moto"),
}


def rows(heading: str) -> list[list[str]]:
    """The cells of the first table below a heading, without its head."""
    below = PAGE[PAGE.index(heading) :]
    lines = below[below.index("\n|") + 1 :].split("\n\n")[0].splitlines()
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[2:]]


def test_every_server_is_listed_with_the_version_that_is_run() -> None:
    assert [(row[0].strip("| "), row[1]) for row in rows("## Servers that were run")] == [
        (NAMES[name], VERSIONS[name]) for name in catalogue.ALL
    ]


@pytest.mark.parametrize("name", catalogue.ALL)
def test_what_a_server_lacks_is_what_its_tests_expect(name: str) -> None:
    found = [tuple(row[1:]) for row in rows("### What they lack") if row[0] == NAMES[name]]
    assert found == ([(lack.what, lack.effect) for lack in LACKS[name]] or [("nothing", "")])

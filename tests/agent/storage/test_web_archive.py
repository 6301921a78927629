"""Archives at https addresses: what is fetched, and what a server or an address cannot do."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from https_server import HttpsServer
from trainingrun_agent.errors import StageError, UserError
from trainingrun_agent.storage.web_archive import WebArchive

pytestmark = pytest.mark.contract
DATA = b"archive" * 1000
LIMIT = 1 << 20


def url_of(server: HttpsServer) -> str:
    return f"{server.host}/zoo/a.tar.gz"


@pytest.fixture
def server(certificate: Path) -> Iterator[HttpsServer]:
    made = HttpsServer(certificate)
    made.answers["/zoo/a.tar.gz"] = (200, {}, DATA)
    yield made
    made.stop()


class Download:
    """Downloads from a server to a file, and notes what is told of the progress."""

    def __init__(self, server: HttpsServer, certificate: Path | None, path: Path, **options: Any) -> None:
        self.path, self.moved, self.sizes = path, list[int](), list[int]()
        self.archive = WebArchive(url_of(server), ca_file=certificate, **options)

    def run(self, limit: int = LIMIT) -> tuple[int, str]:
        return self.archive.download(self.path, limit=limit, on_size=self.sizes.append, on_bytes=self.moved.append)


@pytest.fixture
def download(server: HttpsServer, certificate: Path, tmp_path: Path) -> Download:
    return Download(server, certificate, tmp_path / "a.tar.gz")


def failure(download: Download, kind: type[StageError] = UserError, **options: Any) -> tuple[str, str]:
    with pytest.raises(kind) as caught:
        download.run(**options)
    assert not download.path.exists() or kind is StageError
    assert sum(download.moved) == 0 or kind is StageError
    return caught.value.reason, caught.value.message


def test_an_archive_is_downloaded_with_its_digest(download: Download) -> None:
    assert download.run() == (len(DATA), hashlib.sha256(DATA).hexdigest())
    assert (download.path.read_bytes(), sum(download.moved), download.sizes) == (DATA, len(DATA), [len(DATA)])


def test_a_redirect_within_the_host_is_followed(server: HttpsServer, download: Download) -> None:
    server.answers["/zoo/a.tar.gz"] = (302, {"Location": "/mirror/a.tar.gz"}, b"")
    server.answers["/mirror/a.tar.gz"] = (301, {"Location": f"{server.host}/last/a.tar.gz"}, b"")
    server.answers["/last/a.tar.gz"] = (200, {}, DATA)
    assert download.run()[0] == len(DATA)


@pytest.mark.parametrize(
    "location",
    [
        "https://evil.example/a.tar.gz",
        "http://127.0.0.1/a.tar.gz",
        "//169.254.169.254/latest",
        "https://127.0.0.1:1/a",
        "/a.tar.gz?token=1",
    ],
    ids=["another host", "plain http", "metadata", "another port", "query"],
)
def test_a_redirect_elsewhere_is_refused(server: HttpsServer, download: Download, location: str) -> None:
    server.answers["/zoo/a.tar.gz"] = (302, {"Location": location}, b"")
    reason, message = failure(download)
    assert reason == "PretrainedUnusable"
    assert f"{url_of(server)} redirects to " in message
    assert server.requests == ["/zoo/a.tar.gz"]


@pytest.mark.parametrize("location", ["https://[", "https://[::1", "/r\u00f6hre.tar.gz", "/a b\x7f.tar.gz", "/a\tb"])
def test_a_redirect_to_no_address_is_refused(server: HttpsServer, download: Download, location: str) -> None:
    server.answers["/zoo/a.tar.gz"] = (302, {"Location": location}, b"")
    server.answers["/ab"] = (404, {}, b"")
    with pytest.raises(StageError) as caught:
        download.run()
    assert caught.value.reason in {"PretrainedUnusable", "PretrainedUnreachable", "PretrainedNotFound"}


def test_a_server_that_would_keep_the_connection_is_read_to_the_end(certificate: Path, tmp_path: Path) -> None:
    server = HttpsServer(certificate, protocol="HTTP/1.1")
    try:
        server.answers["/zoo/a.tar.gz"] = (302, {"Location": "/last/a.tar.gz"}, b"moved")
        server.answers["/last/a.tar.gz"] = (200, {}, DATA)
        assert Download(server, certificate, tmp_path / "a.tar.gz").run()[0] == len(DATA)
    finally:
        server.stop()


def test_redirects_end(server: HttpsServer, download: Download) -> None:
    server.answers["/zoo/a.tar.gz"] = (302, {"Location": "/zoo/a.tar.gz"}, b"")
    assert failure(download) == (
        "PretrainedUnusable",
        f"spec.model.pretrained.uri: {url_of(server)} redirects without end",
    )
    assert len(server.requests) == 6


@pytest.mark.parametrize(
    ("status", "kind", "reason", "message"),
    [
        (404, UserError, "PretrainedNotFound", "there is nothing at {url}, its host answers 404"),
        (403, UserError, "PretrainedUnusable", "{url} answers 403 instead of an archive"),
        (206, UserError, "PretrainedUnusable", "{url} answers 206 instead of an archive"),
        (503, StageError, "PretrainedUnreachable", "{url} cannot be fetched: its host answers 503"),
        (429, StageError, "PretrainedUnreachable", "{url} cannot be fetched: its host answers 429"),
    ],
)
def test_an_answer_that_is_no_archive(
    server: HttpsServer, download: Download, status: int, kind: type[StageError], reason: str, message: str
) -> None:
    server.answers["/zoo/a.tar.gz"] = (status, {}, DATA)
    expected = f"spec.model.pretrained.uri: {message.format(url=url_of(server))}"
    assert failure(download, kind) == (reason, expected)


@pytest.mark.parametrize("headers", [{}, {"Content-Length": ""}], ids=["told", "not told"])
def test_an_archive_without_bound_is_refused(server: HttpsServer, download: Download, headers: dict[str, str]) -> None:
    server.answers["/zoo/a.tar.gz"] = (200, headers, DATA)
    with pytest.raises(UserError) as caught:
        download.run(limit=100)
    assert caught.value.reason == "PretrainedUnusable"
    assert "at most 100 are used" in caught.value.message


def test_an_archive_that_ends_early_is_asked_for_again_by_the_next_attempt(
    server: HttpsServer, download: Download
) -> None:
    server.answers["/zoo/a.tar.gz"] = (200, {"Content-Length": "9000"}, DATA)
    reason, message = failure(download, StageError)
    assert reason == "PretrainedUnreachable"
    assert "7000" in message


@pytest.mark.parametrize("network", ["127.0.0.0/8", "127.0.0.1/32"])
def test_an_address_of_a_refused_network_is_never_connected_to(
    server: HttpsServer, certificate: Path, tmp_path: Path, network: str
) -> None:
    refused = (ip_network("::1/128"), ip_network(network))
    download = Download(server, certificate, tmp_path / "a.tar.gz", refused=refused)
    reason, message = failure(download)
    assert reason == "PretrainedUnusable"
    assert "has the address 127.0.0.1, which is the pod itself" in message
    assert server.requests == []


def test_a_certificate_that_nobody_trusts_is_refused(server: HttpsServer, tmp_path: Path) -> None:
    reason, message = failure(Download(server, None, tmp_path / "a.tar.gz"), StageError)
    assert reason == "PretrainedUnreachable"
    assert message.startswith(
        f"spec.model.pretrained.uri: {url_of(server)} cannot be fetched: its certificate is not valid: "
    )
    assert server.requests == []


def test_a_host_that_does_not_listen(certificate: Path, tmp_path: Path) -> None:
    server = HttpsServer(certificate)
    server.stop()
    assert failure(Download(server, certificate, tmp_path / "a.tar.gz"), StageError) == (
        "PretrainedUnreachable",
        f"spec.model.pretrained.uri: {url_of(server)} cannot be fetched: Connection refused",
    )


@pytest.mark.parametrize("host", [f"{'a' * 64}.example", "a..example"], ids=["long", "empty part"])
def test_a_host_that_can_have_no_address(tmp_path: Path, host: str) -> None:
    archive = WebArchive(f"https://{host}/a.tar.gz")
    with pytest.raises(StageError) as caught:
        archive.download(tmp_path / "a.tar.gz", limit=LIMIT, on_size=int, on_bytes=int)
    assert caught.value.message.endswith("cannot be fetched: its host has no address")

"""Storage without keys, against an STS that checks tokens: SeaweedFS, with an issuer that signs as a cluster does."""

from __future__ import annotations

import hashlib
import io
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from agent_run import resolved_document
from trainingrun_agent.config import AgentConfig, Paths, load
from trainingrun_agent.errors import Outcome, StorageRefused
from trainingrun_agent.storage import preflight
from trainingrun_agent.storage.client import PREFLIGHT
from trainingrun_agent.storage.s3 import open_store
from trainingrun_agent.storage.web_identity import credentials_of
from trcluster.waiting import patience, until
from trdemo.bucket import Bucket
from trdemo.target import Storage
from trimages.paths import REPOSITORY
from trservers import issuer, seaweedfs
from trservers.issuer import Issuer
from trservers.seaweedfs_identity import ACCOUNT, Role, Trusted, configuration
from trservers.server import Server

pytestmark = pytest.mark.contract

AUDIENCE = "sts.amazonaws.com"
BUCKET, OTHER_BUCKET = "detectors", "of-others"
SUBJECT = "system:serviceaccount:team-a:trainer"
SESSION_SECONDS = 4
UNREACHABLE = "http://127.0.0.1:1"
ELSEWHERE = "https://elsewhere.example"
POD = "11112222-3333-4444-5555-666677778888"


def arn(role: str) -> str:
    return f"arn:aws:iam::{ACCOUNT}:role/{role}"


@pytest.fixture(scope="module")
def tokens() -> Iterator[Issuer]:
    with issuer.serving() as made:
        yield made


@pytest.fixture(scope="module")
def without_roles() -> Iterator[Issuer]:
    """An issuer whose tokens need no role: their subject decides what they may do."""
    with issuer.serving() as made:
        yield made


@pytest.fixture(scope="module")
def server(tokens: Issuer, without_roles: Issuer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    trusted = [
        Trusted(tokens.url, AUDIENCE),
        Trusted(without_roles.url, AUDIENCE, policy_claim="sub"),
        Trusted(UNREACHABLE, AUDIENCE),
    ]
    roles = [
        Role(SUBJECT, without_roles.url, SUBJECT, BUCKET),
        Role("training", tokens.url, SUBJECT, BUCKET),
        Role("of-team-b", tokens.url, "system:serviceaccount:team-b:*", BUCKET),
        Role("of-anyone", "*", "*", BUCKET),
    ]
    identity = configuration(trusted, roles, session_seconds=SESSION_SECONDS)
    with seaweedfs.running(tmp_path_factory.mktemp("seaweedfs"), identity=identity) as started:
        account = Storage(started.endpoint, started.endpoint, started.access_key, started.secret_key)
        for name in (BUCKET, OTHER_BUCKET):
            Bucket(account, name).create()
        yield started


Configure = Callable[..., AgentConfig]


@pytest.fixture
def pod_with(server: Server, tmp_path: Path) -> Configure:
    """Make the config of a pod that has this token and nothing else."""

    def make(token: str, *, role: str | None = "training", bucket: str = BUCKET) -> AgentConfig:
        folder = tmp_path / "credentials"
        folder.mkdir()
        (folder / "token").write_text(token)
        document = resolved_document(server.endpoint, bucket)
        document["storage"]["webIdentity"] = {"roleARN": role and arn(role), "stsEndpoint": server.endpoint}
        paths = Paths(resolved=tmp_path / "resolved.json", credentials=folder, shared=tmp_path)
        paths.resolved.write_text(json.dumps(document))
        return load({"POD_UID": POD}, stage="prep", paths=paths)

    return make


def test_a_token_of_the_service_account_is_all_that_storage_needs(pod_with: Configure, tokens: Issuer) -> None:
    config = pod_with(tokens.token(SUBJECT, audience=AUDIENCE))
    store = open_store(config, BUCKET)
    assert preflight.probe(store, config.resolved.run_keys, POD) == ()
    assert store.put("a/b", b"small", if_absent=True)
    assert store.get("a/b", max_bytes=100) == b"small"
    assert [item.key for item in store.list("a/")] == ["a/b"]
    store.delete("a/b")
    assert list(store.list("a/")) == []


def test_an_sts_that_decides_by_the_subject_needs_no_role(pod_with: Configure, without_roles: Issuer) -> None:
    store = open_store(pod_with(without_roles.token(SUBJECT, audience=AUDIENCE), role=None), BUCKET)
    assert store.put("no-role", b"small")
    assert store.get("no-role", max_bytes=100) == b"small"


def test_objects_in_parts_come_back_whole(pod_with: Configure, tokens: Issuer, tmp_path: Path) -> None:
    store = open_store(pod_with(tokens.token(SUBJECT, audience=AUDIENCE)), BUCKET)
    data = bytes(range(256)) * (3 << 15)  # 24 MiB, three parts
    digest = store.upload("large", io.BytesIO(data), size=len(data))
    assert digest == hashlib.sha256(data).hexdigest()
    assert store.get_range("large", start=len(data) - 10, length=10) == data[-10:]
    store.download("large", tmp_path / "large", size=len(data), sha256=digest)
    assert (tmp_path / "large").read_bytes() == data


def test_credentials_are_renewed_before_they_expire(pod_with: Configure, tokens: Issuer) -> None:
    """The work goes on over three lives of the temporary credentials; no request is refused."""
    config = pod_with(tokens.token(SUBJECT, audience=AUDIENCE))
    credentials = credentials_of(config)
    store = open_store(config, BUCKET, credentials=credentials)
    used: set[str | None] = set()

    def third_life() -> bool:
        store.put("renewed", b"again")
        used.add(credentials.get_frozen_credentials().access_key)
        return len(used) == 3

    until(third_life, what="the third temporary key", seconds=patience(6 * SESSION_SECONDS), seen=lambda: len(used))


@dataclass(frozen=True)
class Refused:
    """A token and a role, and what the STS and the agent say about them."""

    token: Callable[[Issuer], str]
    role: str | None
    answer: str
    hint: str


def right(tokens: Issuer) -> str:
    return tokens.token(SUBJECT, audience=AUDIENCE)


ISSUER_HINT = "Make this cluster's issuer of ServiceAccount tokens, and their audience"
TRUST_HINT = "Let the role trust the ServiceAccount of spec.storage.credentials.serviceAccountName"
REFUSED = {
    "wrong audience": Refused(
        lambda tokens: tokens.token(SUBJECT, audience="https://kubernetes.default.svc"),
        "training",
        "400 InvalidParameterValue, failed to validate web identity token: invalid token audience",
        ISSUER_HINT,
    ),
    "expired": Refused(
        lambda tokens: tokens.token(SUBJECT, audience=AUDIENCE, seconds=-10),
        "training",
        "400 ExpiredTokenException, ",
        "set the clocks",
    ),
    "of a foreign issuer": Refused(
        lambda _: Issuer(ELSEWHERE).token(SUBJECT, audience=AUDIENCE),
        "training",
        "403 AccessDenied, trust policy validation failed",
        TRUST_HINT,
    ),
    "of a foreign issuer for a role that trusts any": Refused(
        lambda _: Issuer(ELSEWHERE).token(SUBJECT, audience=AUDIENCE),
        "of-anyone",
        f"no identity provider registered for issuer: {ELSEWHERE}",
        ISSUER_HINT,
    ),
    "signed with another key": Refused(
        lambda tokens: tokens.token(SUBJECT, audience=AUDIENCE, key=Issuer(ELSEWHERE).key),
        "training",
        "token signature is invalid",
        ISSUER_HINT,
    ),
    "of an issuer whose keys cannot be read": Refused(
        lambda _: Issuer(UNREACHABLE).token(SUBJECT, audience=AUDIENCE),
        "of-anyone",
        f"token validation failed with provider for issuer {UNREACHABLE}",
        ISSUER_HINT,
    ),
    "with the role of another namespace": Refused(
        right, "of-team-b", "403 AccessDenied, trust policy validation failed", TRUST_HINT
    ),
    "with a role that does not exist": Refused(right, "nobody", "403 AccessDenied, role not found: nobody", TRUST_HINT),
    "without a role": Refused(
        right, None, "RoleArn is required", "This STS needs to be told a role: create a new TrainingRun"
    ),
    "that is no token": Refused(lambda _: "nonsense", "training", "403 AccessDenied", TRUST_HINT),
}


@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED.keys())
def test_a_token_is_refused_for_good_with_its_cause(pod_with: Configure, tokens: Issuer, case: Refused) -> None:
    token = case.token(tokens)
    store = open_store(pod_with(token, role=case.role), BUCKET, limits=PREFLIGHT)
    with pytest.raises(StorageRefused) as caught:
        list(store.list("", limit=1))
    error = caught.value
    assert (error.reason, error.outcome) == ("WebIdentityRefused", Outcome.STORAGE_REFUSED), error.message
    assert case.answer in error.message
    assert case.hint in error.hint
    assert token.rpartition(".")[2] not in error.message


def test_a_bucket_that_the_role_does_not_cover_is_refused_with_the_role(pod_with: Configure, tokens: Issuer) -> None:
    config = pod_with(right(tokens), bucket=OTHER_BUCKET)
    with pytest.raises(StorageRefused) as caught:
        list(open_store(config, OTHER_BUCKET, limits=PREFLIGHT).list("", limit=1))
    assert caught.value.reason == "AccessDenied"
    assert "to the role of spec.storage.credentials.roleARN" in caught.value.hint


def test_the_documented_file_is_what_these_tests_use() -> None:
    text = (REPOSITORY / "docs" / "operations.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```json\n(\{\"sts\".*?)```", text, re.DOTALL)
    cluster = "https://kubernetes.default.svc.cluster.local"
    ca = Path("/etc/seaweedfs/cluster-ca.crt")
    trusted = Trusted(cluster, AUDIENCE, "https://kubernetes.default.svc/openid/v1/jwks", ca)
    role = Role("training", cluster, "system:serviceaccount:vision:trainingrun-s3", BUCKET)
    shown, used = json.loads(block), configuration([trusted], [role])
    used["sts"]["signingKey"] = shown["sts"]["signingKey"]
    assert shown == used

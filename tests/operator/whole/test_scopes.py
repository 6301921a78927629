"""Operators beside each other, and namespaces that disappear or are forbidden: the others are served as before."""

from __future__ import annotations

import asyncio
import json
import urllib.error
import urllib.request
from dataclasses import replace
from typing import Any

import pytest

from trainingrun.api.names import CLUSTER_LEASE, LEASE
from trainingrun.api.settings import Policy
from trainingrun.engine.cache import Cache
from trainingrun.engine.lease import Lease
from trainingrun.engine.lister import Lister
from trainingrun.engine.place import Place, State
from trainingrun.kube.client import Api
from trfakes.builders import SETTINGS, a_run
from trfakes.fake_cluster import Script, verdict
from trfakes.harness import Running, World, eventually
from trfakes.store import Object

pytestmark = pytest.mark.contract
STRICT = Policy(images=("strict/*",))
LENIENT = Policy(images=("lenient/*",))


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short waits, in the order that safety needs: reading and renewing < writing < settling < taking over."""
    monkeypatch.setattr("trainingrun.engine.place.TRY_AGAIN_SECONDS", 0.1)
    monkeypatch.setattr("trainingrun.engine.lease.RENEW_SECONDS", 0.1)
    monkeypatch.setattr("trainingrun.engine.cluster_place.READ_SECONDS", 0.1)
    monkeypatch.setattr("trainingrun.engine.cluster_place.TAKE_OVER_SECONDS", 0.05)
    monkeypatch.setattr("trainingrun.engine.claims.WRITE_SECONDS", 0.8)
    monkeypatch.setattr("trainingrun.engine.place.SETTLE_SECONDS", 1.0)
    monkeypatch.setattr("trainingrun.engine.lease.WRITE_SECONDS", 2.0)
    monkeypatch.setattr("trainingrun.engine.lease.LEASE_SECONDS", 3)


def create(world: World, namespace: str, name: str = "tire", **spec: Any) -> None:
    world.store.create("trainingruns", a_run(name).spec(**spec).body(), namespace=namespace)


def status(world: World, namespace: str, name: str = "tire") -> dict[str, Any]:
    return dict((world.store.find("trainingruns", name, namespace=namespace) or {}).get("status") or {})


def phase(world: World, namespace: str, name: str = "tire") -> str:
    return str(status(world, namespace, name).get("phase"))


def holder(world: World, namespace: str, name: str = LEASE) -> str:
    lease = world.store.find("leases", name, namespace=namespace) or {}
    return str((lease.get("spec") or {}).get("holderIdentity") or "")


async def job(world: World, namespace: str, name: str) -> Object:
    found: Object = await eventually(lambda: world.store.find("jobs", name, namespace=namespace), what=f"Job {name}")
    return found


def readiness(running: Running) -> str:
    """Status and text of /readyz, the status first."""
    return _get(running, "readyz")


def _get(running: Running, path: str) -> str:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{running.port}/{path}", timeout=30) as answer:
            return f"{answer.status} {answer.read().decode()}"
    except urllib.error.HTTPError as error:
        return f"{error.code} {error.read().decode()}"
    except OSError:
        return ""


async def says(running: Running, *texts: str) -> None:
    await eventually(
        lambda: all(text in readiness(running) for text in texts), what=f"{texts}", seen=lambda: readiness(running)
    )


async def test_a_forbidden_namespace_does_not_keep_the_others_from_being_served(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.server.refused["robots"] = 403
    running = await world.start_operator(namespaces=("vision", "robots"))
    create(world, "vision")
    create(world, "robots")
    await eventually(lambda: phase(world, "vision") == "Succeeded")
    await says(running, "200 ok", "namespace robots is not served: GET ", "403")
    assert 'trainingrun_namespaces{state="refused"} 1.0' in _get(running, "metrics")
    assert 'trainingrun_namespaces{state="served"} 1.0' in _get(running, "metrics")
    assert status(world, "robots") == {}
    assert "namespace robots is not served: GET " in caplog.text
    world.server.refused.clear()
    await eventually(lambda: phase(world, "robots") == "Succeeded")
    assert readiness(running) == "200 ok\n"


@pytest.mark.parametrize("script", [lambda _job: None])
async def test_runs_of_a_namespace_that_becomes_forbidden_are_not_lost(world: World, script: Script) -> None:
    running = await world.start_operator(namespaces=("vision", "robots"))
    create(world, "vision")
    create(world, "robots")
    unseen = await job(world, "robots", "tire-prep-1")
    world.cluster.start(unseen)
    await eventually(lambda: phase(world, "robots") == "Preparing")
    world.server.refused["robots"] = 403
    world.server.end_watches()
    await says(running, "200 ok", "namespace robots is not served")
    before = json.dumps(status(world, "robots"))
    world.cluster.end(unseen, verdict("prep"))
    world.cluster.script = lambda other: verdict(other["metadata"]["labels"]["trainingrun.dev/stage"])
    seen = await job(world, "vision", "tire-prep-1")
    world.cluster.start(seen)
    world.cluster.end(seen, verdict("prep"))
    await eventually(lambda: phase(world, "vision") == "Succeeded", what="the other namespace's run goes on")
    assert not running.task.done()
    assert "robots/tire" in running.operator.cache.runs
    assert json.dumps(status(world, "robots")) == before
    world.server.refused.clear()
    await eventually(lambda: phase(world, "robots") == "Succeeded")
    ended = [(each["stage"], each["ended"]) for each in status(world, "robots")["attempts"]]
    assert ended == [("prep", 1), ("train", 1), ("export", 1)]


async def test_a_namespace_that_is_deleted_and_created_again_is_served_again(world: World) -> None:
    running = await world.start_operator(namespaces=("vision", "robots"))
    create(world, "robots")
    await eventually(lambda: phase(world, "robots") == "Succeeded")
    for plural, namespace, name in list(world.store.objects):
        if namespace == "robots" and world.store.find(plural, name, namespace=namespace):
            world.store.delete(plural, name, namespace=namespace)
    world.server.refused["robots"] = 404
    await says(running, "200 ok", "namespace robots is not served")
    create(world, "vision")
    await eventually(lambda: phase(world, "vision") == "Succeeded")
    assert list(running.operator.cache.runs) == ["vision/tire"]
    world.server.refused.clear()
    create(world, "robots")
    await eventually(lambda: phase(world, "robots") == "Succeeded")


async def test_a_namespace_that_refuses_is_tried_again(world: World) -> None:
    """Without kopf: the task of the namespace itself."""
    world.server.refused["vision"] = 403
    api, changed = await Api.connect(), asyncio.Event()
    lease = Lease(api, namespace="vision", name=LEASE, settings=SETTINGS)
    place = Place("vision", lease=lease, lister=Lister(api, cache=Cache(), gone=print), changed=lambda _: changed.set())
    keeping = asyncio.ensure_future(place.keep())
    await eventually(lambda: place.state is State.REFUSED or keeping.done())
    world.server.refused["vision"] = 404
    await eventually(lambda: "404" in place.why or keeping.done())
    world.server.refused.clear()
    await eventually(lambda: place.state is State.SERVED or keeping.done())
    assert not keeping.done()
    keeping.cancel()
    await asyncio.gather(keeping, return_exceptions=True)
    await api.close()


async def test_with_all_namespaces_forbidden_the_operator_waits_and_says_so(world: World) -> None:
    world.server.refused.update(vision=403, robots=403)
    running = await world.start_operator(namespaces=("vision", "robots"), wait=False)
    await says(running, "503 waiting", "namespace vision is not served", "namespace robots is not served")
    del world.server.refused["robots"]
    create(world, "robots")
    await eventually(lambda: phase(world, "robots") == "Succeeded")
    await says(running, "200 ok", "namespace vision is not served")


async def test_a_forbidden_cluster_is_not_served_until_it_is_allowed_again(world: World) -> None:
    running = await world.start_operator()
    world.server.refused[""] = 403
    await says(running, "503 waiting", "the whole cluster is not served", "403")
    create(world, "default")
    world.server.end_watches()
    world.server.refused.clear()
    await eventually(lambda: phase(world, "default") == "Succeeded")
    assert readiness(running) == "200 ok\n"


@pytest.mark.parametrize("namespaces", [(), ("vision", "robots")], ids=["cluster", "named"])
async def test_a_second_operator_names_the_first_and_takes_over_when_it_ends(
    world: World, namespaces: tuple[str, ...]
) -> None:
    first = await world.start_operator(pod_name="first", namespaces=namespaces)
    second = await world.start_operator(pod_name="second", pod_namespace="other", namespaces=namespaces, wait=False)
    await says(second, "503 waiting", "is held by trainingrun-system/first")
    assert not second.operator.serving
    await first.stop()
    create(world, "vision")
    await eventually(lambda: phase(world, "vision") == "Succeeded")
    place = ("kube-system", CLUSTER_LEASE) if not namespaces else ("vision", LEASE)
    assert holder(world, *place) == "other/second"
    await second.stop()
    assert holder(world, *place) == ""


async def test_an_operator_that_stops_waiting_leaves_the_lease_to_its_holder(world: World) -> None:
    await world.start_operator(pod_name="first")
    second = await world.start_operator(pod_name="second", wait=False)
    await says(second, "is held by")
    await second.stop()
    assert holder(world, "kube-system", CLUSTER_LEASE) == "trainingrun-system/first"


async def test_operators_whose_lists_overlap_serve_each_namespace_once(world: World) -> None:
    first = await world.start_operator(
        pod_name="first", namespaces=("vision", "shared"), policy=replace(STRICT, images=("first/*",))
    )
    await eventually(lambda: holder(world, "shared") == "trainingrun-system/first")
    second = await world.start_operator(
        pod_name="second", namespaces=("shared", "robots"), policy=replace(STRICT, images=("second/*",))
    )
    await says(second, "200 ok", "namespace shared is not served: Lease shared/trainingrun-operator is held by")
    for number in range(5):
        create(world, "shared", f"wrong-{number}", train={"image": "second/trainer:1"})
        create(world, "shared", f"right-{number}", train={"image": "first/trainer:1"})
        create(world, "robots", f"right-{number}", train={"image": "second/trainer:1"})
    for number in range(5):
        await eventually(lambda n=number: phase(world, "shared", f"right-{n}") == "Succeeded")  # type: ignore[misc]
        await eventually(lambda n=number: phase(world, "robots", f"right-{n}") == "Succeeded")  # type: ignore[misc]
        await eventually(lambda n=number: accepted(world, "shared", f"wrong-{n}") == "False")  # type: ignore[misc]
    assert verdicts(world, "shared", "wrong") == {"False"}
    assert verdicts(world, "shared", "right") == {"True"}
    await first.stop()
    await eventually(lambda: holder(world, "shared") == "trainingrun-system/second")
    assert not second.task.done()


def accepted(world: World, namespace: str, name: str) -> str:
    conditions = status(world, namespace, name).get("conditions") or []
    return str(next((c["status"] for c in conditions if c["type"] == "Accepted"), ""))


def verdicts(world: World, namespace: str, name: str) -> set[str]:
    """Every value that the condition Accepted of runs with this beginning of their names ever had."""
    found: set[str] = set()
    for change in world.store.history:
        meta = change.body["metadata"]
        if change.plural == "trainingruns" and meta["namespace"] == namespace and meta["name"].startswith(name):
            conditions = change.body.get("status", {}).get("conditions") or []
            found |= {c["status"] for c in conditions if c["type"] == "Accepted"}
    return found


@pytest.mark.parametrize("first", ["cluster", "named"])
async def test_a_cluster_wide_operator_leaves_a_namespace_to_the_one_installed_for_it(world: World, first: str) -> None:
    """The stricter policy holds in its namespace, whichever of the two starts first."""
    installs: dict[str, dict[str, Any]] = {
        "cluster": {"pod_name": "cluster", "policy": LENIENT},
        "named": {"pod_name": "named", "pod_namespace": "team", "policy": STRICT, "namespaces": ("vision",)},
    }
    running = {first: await world.start_operator(**installs.pop(first))}
    for name, install in installs.items():
        running[name] = await world.start_operator(**install)
    await says(running["cluster"], "200 ok", "namespace vision is left to operator team/named")
    assert 'trainingrun_namespaces{state="held"} 1.0' in _get(running["cluster"], "metrics")
    for number in range(5):
        create(world, "vision", f"wrong-{number}", train={"image": "lenient/trainer:1"})
        create(world, "elsewhere", f"right-{number}", train={"image": "lenient/trainer:1"})
    for number in range(5):
        await eventually(lambda n=number: accepted(world, "vision", f"wrong-{n}") == "False")  # type: ignore[misc]
        await eventually(lambda n=number: phase(world, "elsewhere", f"right-{n}") == "Succeeded")  # type: ignore[misc]
    assert verdicts(world, "vision", "wrong") == {"False"}
    await running["named"].stop()
    create(world, "vision", "later", train={"image": "lenient/trainer:1"})
    await eventually(lambda: phase(world, "vision", "later") == "Succeeded", what="the cluster-wide one takes over")
    assert readiness(running["cluster"]) == "200 ok\n"


async def test_a_namespace_is_not_taken_back_while_its_operator_restarts(world: World) -> None:
    cluster = await world.start_operator(pod_name="cluster", policy=LENIENT)
    named = await world.start_operator(pod_name="old", policy=STRICT, namespaces=("vision",))
    await says(cluster, "namespace vision is left to operator trainingrun-system/old")
    await named.stop()
    create(world, "vision", "wrong", train={"image": "lenient/trainer:1"})
    await world.start_operator(pod_name="new", policy=STRICT, namespaces=("vision",))
    await eventually(lambda: accepted(world, "vision", "wrong") == "False")
    assert verdicts(world, "vision", "wrong") == {"False"}

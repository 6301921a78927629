"""One Lease and two operators that want it, each with its own clock, against the fake API server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
import pytest_asyncio

from trainingrun.api.clock import Clock
from trainingrun.api.names import LEASE
from trainingrun.engine.claims import WRITE_SECONDS as CLAIM_SECONDS
from trainingrun.engine.claims import Claims
from trainingrun.engine.lease import LEASE_SECONDS, MAX_HOLDER, MAX_SECONDS, WRITE_SECONDS, Lease, LostLeaseError
from trainingrun.kube.client import TIMEOUT_SECONDS, Api
from trainingrun.kube.errors import NotFoundError
from trainingrun.kube.fence import FencedApi, NotServedError
from trfakes.apiserver import Fault
from trfakes.builders import SETTINGS
from trfakes.harness import World, eventually

pytestmark = pytest.mark.contract


class Passing:
    """A monotonic clock that tests set."""

    def __init__(self) -> None:
        self.seconds = 1000.0
        self.clock = Clock(monotonic=lambda: self.seconds)

    def pass_(self, seconds: float) -> None:
        self.seconds += seconds


class Silent(Api):
    """An API server that does not answer."""

    def __init__(self) -> None: ...

    async def text(self, *_: Any, **__: Any) -> str:
        await asyncio.Event().wait()
        return ""


@dataclass
class Leases:
    """Leases of namespace `vision` in the eyes of operators that share a clock."""

    api: Api
    world: World
    clock: Passing

    def of(self, pod: str, *, clock: Passing | None = None) -> Lease:
        settings = replace(SETTINGS, pod_name=pod)
        return Lease(self.api, namespace="vision", name=LEASE, settings=settings, clock=(clock or self.clock).clock)

    def claims(self) -> Claims:
        return Claims(self.api, clock=self.clock.clock)

    def spec(self) -> dict[str, Any]:
        return dict(self.world.store.get("leases", LEASE, namespace="vision")["spec"])


@pytest_asyncio.fixture
async def leases(world: World, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Leases]:
    monkeypatch.setattr("trainingrun.engine.lease.RENEW_SECONDS", 0.01)
    monkeypatch.setattr("trainingrun.engine.lease.RENEW_AGAIN_SECONDS", 0.01)
    api = await Api.connect()
    yield Leases(api, world, Passing())
    await api.close()


async def test_the_holder_is_named_so_that_a_person_finds_its_pod(leases: Leases) -> None:
    assert await leases.of("first").take()
    assert leases.spec()["holderIdentity"] == "trainingrun-system/first"
    second = leases.of("second")
    assert not await second.take()
    assert second.other_holder == "trainingrun-system/first"
    assert second.seconds_left() == 0


async def test_a_lease_is_taken_over_only_after_it_has_not_changed_for_its_duration(leases: Leases) -> None:
    first, second = leases.of("first"), leases.of("second")
    assert await first.take()
    for _ in range(5):
        leases.clock.pass_(LEASE_SECONDS - 1)
        assert await first.take(), "renewed"
        assert not await second.take()
    leases.clock.pass_(LEASE_SECONDS - 1)
    assert not await second.take()
    leases.clock.pass_(1)
    assert await second.take()


@pytest.mark.parametrize("renewed", ["1999-01-01T00:00:00.000000Z", "2999-01-01T00:00:00.000000Z"])
async def test_a_nodes_wrong_clock_takes_no_lease_and_keeps_none(leases: Leases, renewed: str) -> None:
    spec = {"holderIdentity": "elsewhere/other", "leaseDurationSeconds": LEASE_SECONDS, "renewTime": renewed}
    leases.world.store.create("leases", {"metadata": {"name": LEASE}, "spec": spec}, namespace="vision")
    lease = leases.of("first")
    assert not await lease.take()
    leases.clock.pass_(LEASE_SECONDS)
    assert await lease.take()


async def test_whoever_may_write_leases_blocks_a_namespace_only_while_they_renew_one(leases: Leases) -> None:
    spec = {"holderIdentity": "x" * 10_000, "leaseDurationSeconds": 2**31 - 1, "renewTime": "2999-01-01T00:00:00.0Z"}
    leases.world.store.create("leases", {"metadata": {"name": LEASE}, "spec": spec}, namespace="vision")
    claims, lease = leases.claims(), leases.of("first")
    assert not await lease.take()
    await claims.read()
    assert len(lease.other_holder) == len(claims.holders["vision"]) == MAX_HOLDER
    leases.clock.pass_(MAX_SECONDS)
    await claims.read()
    assert claims.holders == {}
    assert await lease.take()


async def test_the_holder_stops_writing_before_another_can_take_the_lease(leases: Leases) -> None:
    first, second = leases.of("first"), leases.of("second", clock=Passing())
    assert await first.take()
    assert not await second.take()
    leases.clock.pass_(WRITE_SECONDS)
    assert first.seconds_left() == 0 < LEASE_SECONDS - WRITE_SECONDS
    assert not await second.take()


async def test_a_write_that_would_outlast_the_lease_is_given_up(leases: Leases) -> None:
    left = {"vision": 5.0, "robots": 0.0}
    api = FencedApi(leases.api, lambda namespace: left.get(namespace, 0.0))
    body = {"metadata": {"name": "a"}}
    await api.call("POST", "/api/v1/namespaces/vision/configmaps", body=body)
    with pytest.raises(NotServedError, match="namespace robots is not served now"):
        await api.call("POST", "/api/v1/namespaces/robots/configmaps", body=body)
    with pytest.raises(NotFoundError):
        await api.call("GET", "/api/v1/namespaces/robots/configmaps/a")  # reading is allowed
    silent = FencedApi(Silent(), lambda _namespace: 0.001)
    with pytest.raises(NotServedError, match="no answer"):
        await silent.call("DELETE", "/api/v1/namespaces/vision/configmaps/a")
    assert TIMEOUT_SECONDS < WRITE_SECONDS


async def test_a_renewal_that_got_no_answer_is_tried_again_and_ends_nothing(leases: Leases) -> None:
    lease = leases.of("first")
    assert await lease.take()
    leases.clock.pass_(WRITE_SECONDS + 100)
    leases.world.server.faults += [Fault("PATCH", "/leases/", 500, times=3), Fault("PATCH", "/leases/", 0, after=True)]
    keeping = asyncio.ensure_future(lease.keep())
    await eventually(lambda: lease.seconds_left() > 0, what="the Lease is renewed")
    keeping.cancel()


async def test_a_lease_that_someone_annotated_is_still_held(leases: Leases) -> None:
    lease = leases.of("first")
    assert await lease.take()
    leases.world.store.patch("leases", LEASE, {"note": "changed"}, namespace="vision")
    leases.clock.pass_(WRITE_SECONDS + 1)
    keeping = asyncio.ensure_future(lease.keep())
    await eventually(lambda: lease.seconds_left() > 0)
    keeping.cancel()


async def test_a_lease_that_another_took_is_lost(leases: Leases) -> None:
    first, second = leases.of("first"), leases.of("second")
    assert await first.take()
    assert not await second.take()
    leases.clock.pass_(LEASE_SECONDS)
    assert await second.take()
    with pytest.raises(
        LostLeaseError, match="Lease vision/trainingrun-operator was taken by trainingrun-system/second"
    ):
        await first.keep()
    assert first.seconds_left() == 0
    await first.release()
    assert leases.spec()["holderIdentity"] == "trainingrun-system/second"


async def test_a_lease_that_another_took_and_released_meanwhile_is_lost(leases: Leases) -> None:
    """Its first holder stood still; what it knows is older than what the second has done."""
    first, second = leases.of("first"), leases.of("second")
    assert await first.take()
    assert not await second.take()
    leases.clock.pass_(LEASE_SECONDS)
    assert await second.take()
    await second.release()
    with pytest.raises(LostLeaseError, match="taken by another operator"):
        await asyncio.wait_for(first.keep(), 5)
    assert first.seconds_left() == 0


async def test_a_lease_that_a_cluster_wide_operator_cleared_is_lost(leases: Leases) -> None:
    claims, slow = leases.claims(), leases.of("slow")
    assert await slow.take()
    await claims.read()
    leases.clock.pass_(LEASE_SECONDS)
    await claims.read()
    assert claims.holders == {}
    with pytest.raises(LostLeaseError, match="taken by another operator"):
        await asyncio.wait_for(slow.keep(), 5)
    assert await slow.take()
    assert not slow.settled, "the cluster-wide operator needs time to read that"


async def test_a_lease_that_was_taken_unnoticed_is_not_released(leases: Leases) -> None:
    first, second = leases.of("first"), leases.of("second")
    assert await first.take()
    assert not await second.take()
    leases.clock.pass_(LEASE_SECONDS)
    assert await second.take()
    await first.release()
    assert leases.spec()["holderIdentity"] == "trainingrun-system/second"


async def test_a_deleted_lease_is_lost_and_not_made_again_by_its_holder(leases: Leases) -> None:
    """Otherwise an operator that is being uninstalled would leave a Lease behind."""
    lease = leases.of("first")
    assert await lease.take()
    del leases.world.store.objects["leases", "vision", LEASE]
    with pytest.raises(LostLeaseError, match="was deleted"):
        await lease.keep()
    await lease.release()
    assert list(leases.world.store.select("leases")) == []


async def test_a_renewal_that_arrives_late_does_not_hold_up_the_release(leases: Leases) -> None:
    """The task that renews is cancelled before the Lease is released, and its last call may still be on its way."""
    lease = leases.of("first")
    assert await lease.take()
    fault = Fault("PATCH", "/leases/", status=409, answer={"reason": "Conflict"})
    leases.world.server.faults.append(fault)
    await lease.release()
    assert not fault.times, "it met the conflict"
    assert leases.spec()["holderIdentity"] == ""


async def test_a_released_lease_is_taken_at_once(leases: Leases) -> None:
    first, second = leases.of("first"), leases.of("second")
    assert await first.take()
    assert not await second.take()
    await second.release()
    assert leases.spec()["holderIdentity"] == "trainingrun-system/first", "only its holder can release it"
    await first.release()
    assert await second.take()


async def test_a_restart_leaves_no_gap_for_a_cluster_wide_operator(leases: Leases) -> None:
    """The namespace stays claimed while its operator restarts, and the next one has nobody to wait for."""
    claims, first = leases.claims(), leases.of("first")
    assert await first.take()
    assert not first.settled, "a cluster-wide operator may have served the namespace until now"
    first.settle()
    assert await first.take()
    await first.release()
    await claims.read()
    assert claims.holders == {"vision": ""}
    leases.clock.pass_(LEASE_SECONDS - 1)
    await claims.read()
    assert claims.holders == {"vision": ""}
    second = leases.of("second")
    assert await second.take()
    assert second.settled
    await claims.read()
    assert claims.holders == {"vision": "trainingrun-system/second"}


async def test_a_cluster_wide_operator_takes_over_a_namespace_whose_operator_is_gone(leases: Leases) -> None:
    claims, gone = leases.claims(), leases.of("gone")
    assert await gone.take()
    gone.settle()
    assert await gone.take()
    await claims.read()
    leases.clock.pass_(LEASE_SECONDS)
    await claims.read()
    assert claims.holders == {}
    back = leases.of("back")
    assert await back.take(), "the Lease was cleared, so it can be taken at once"
    assert not back.settled, "but the cluster-wide operator needs time to read that"
    await claims.read()
    assert claims.holders == {"vision": "trainingrun-system/back"}


async def test_a_holder_that_comes_back_while_its_lease_is_cleared_keeps_it(leases: Leases) -> None:
    claims, slow = leases.claims(), leases.of("slow")
    assert await slow.take()
    await claims.read()
    leases.clock.pass_(LEASE_SECONDS)
    conflict = Fault("PATCH", "/leases/", 409)
    leases.world.server.faults.append(conflict)
    await claims.read()
    assert not conflict.times
    assert claims.holders == {"vision": "trainingrun-system/slow"}


async def test_a_deleted_lease_frees_a_namespace_only_after_its_duration(leases: Leases) -> None:
    """Whoever may delete Leases in a namespace cannot move it to another operator for a moment."""
    claims, lease = leases.claims(), leases.of("first")
    assert await lease.take()
    await claims.read()
    del leases.world.store.objects["leases", "vision", LEASE]
    leases.clock.pass_(LEASE_SECONDS - 1)
    await claims.read()
    assert claims.holders == {"vision": "trainingrun-system/first"}
    leases.clock.pass_(1)
    await claims.read()
    assert claims.holders == {}


async def test_a_lease_that_nobody_ever_held_claims_nothing(leases: Leases) -> None:
    """The chart creates it before the operator runs."""
    leases.world.store.create("leases", {"metadata": {"name": LEASE}}, namespace="vision")
    claims = leases.claims()
    await claims.read()
    assert claims.holders == {}


async def test_without_a_fresh_list_of_claims_a_cluster_wide_operator_writes_nothing(leases: Leases) -> None:
    claims = leases.claims()
    assert claims.seconds_left() <= 0
    await claims.read()
    assert claims.seconds_left() == CLAIM_SECONDS
    leases.clock.pass_(CLAIM_SECONDS)
    assert claims.seconds_left() <= 0

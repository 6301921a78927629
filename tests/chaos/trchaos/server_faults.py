"""Faults between an operator and the API server: answers, admission, watches."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from trchaos.kind import Kind, Values, seconds
from trchaos.server import CALLED_INVALID, NAMESPACE_FORBIDDEN, Rule, plural_of
from trfakes.store import Change

if TYPE_CHECKING:
    from trchaos.schedule import RunPlan
    from trchaos.world import World

METHODS: Final = (["POST"], ["PATCH"], ["DELETE"], ["GET"], ["POST", "PATCH", "DELETE"])
KINDS_OF_OBJECTS: Final = ("", "", "trainingruns", "jobs", "configmaps", "leases", "pods", "events", "deployments")
OFTEN: Final = ((["PATCH"], "trainingruns"), (["PATCH"], "trainingruns"), (["POST"], "jobs"), (["DELETE"], "jobs"))
WATCHED: Final = ("", "trainingruns", "jobs", "pods")
# What an admission webhook, a quota or a policy answers; {kind} is the plural of what is created.
_QUOTA: Final = "{kind} is forbidden: exceeded quota: {kind}, requested: count/{kind}=1, used: 9, limited: 9"
_OF_ANOTHER: Final = "spec.template.spec.initContainers[0].image"  # a field of a container that a webhook has added
_OWN: Final = "spec.template.spec.nodeSelector"  # what a spec may set, so that its run can never go on
_DENIED: Final = 'admission webhook "policy.example.com" denied the request: no budget is left'


def _invalid(field: str) -> tuple[int, dict[str, Any]]:
    details = {"causes": [{"reason": "FieldValueRequired", "field": field}]}
    return 422, {"reason": "Invalid", "message": f"{{kind}} is invalid: {field}: Required value", "details": details}


REFUSALS: Final[Mapping[str, tuple[int, dict[str, Any]]]] = {
    "quota": (403, {"reason": "Forbidden", "message": _QUOTA}),
    "policy": (403, {"reason": "Forbidden", "message": 'admission webhook "policy.example.com" denied the request'}),
    "denied": (400, {"reason": "BadRequest", "message": _DENIED}),
    "found invalid": (422, {"reason": "Invalid", "message": _DENIED}),
    "field": _invalid(_OF_ANOTHER),
    "own field": _invalid(_OWN),
    "webhook down": (
        500,
        {"reason": "InternalError", "message": 'failed calling webhook "policy.example.com": connection refused'},
    ),
}
_NO_PATH: Final = {"reason": "NotFound", "message": "the server could not find the requested resource"}


def _matching(methods: Sequence[str], plural: str) -> Callable[[str, str], bool]:
    return lambda method, path: method in methods and plural in {"", plural_of(path)}


def _draw_failure(chance: random.Random, _: Sequence[RunPlan]) -> Values:
    methods, plural = chance.choice(METHODS), chance.choice(KINDS_OF_OBJECTS)
    if chance.random() < 0.5:
        methods, plural = chance.choice(OFTEN)
    return {
        "methods": methods,
        "of": plural,
        "seconds": seconds(chance, 1.0, 400.0),
        "share": chance.choice((0.2, 0.7, 1.0)),
        "status": chance.choice((0, 404, 409, 409, 429, 500, 503, 504)),
        "takesEffect": chance.random() < 0.4,
        "retryAfter": chance.choice((0, 0, 1, 30, 1000)),
    }


def _fail(world: World, values: Values) -> None:
    """Answer calls with an error, or not at all; `takesEffect`: they have done what they ask for."""
    status = values["status"]
    world.server.rules.append(
        Rule(
            "calls fail",
            matches=_matching(values["methods"], values["of"]),
            until=world.loop.time() + values["seconds"],
            share=values["share"],
            status=status,
            takes_effect=values["takesEffect"] and status in {0, 500, 503, 504},
            retry_after=values["retryAfter"] if status in {429, 503} else 0.0,
            answer=_NO_PATH if status == 404 else {},
        )
    )


def _slow(world: World, values: Values) -> None:
    """Answer late, often later than the client waits; without effect: the server gives up."""
    world.server.rules.append(
        Rule(
            "calls slow",
            matches=_matching(values["methods"], values["of"]),
            until=world.loop.time() + values["seconds"],
            share=values["share"],
            status=0 if values["takesEffect"] else 504,
            takes_effect=values["takesEffect"],
            seconds=values["late"],
        )
    )


def _refuse(world: World, values: Values) -> None:
    """Refuse to admit objects of a kind, or changes of a run's status."""
    code, answer = REFUSALS[values["why"]]
    plural = values["of"]
    world.server.rules.append(
        Rule(
            CALLED_INVALID if (plural, values["why"]) == ("jobs", "own field") else "admission refuses",
            matches=_matching(["PATCH"] if plural == "trainingruns" else ["POST"], plural),
            until=world.loop.time() + values["seconds"],
            share=values["share"],
            status=code,
            answer={**answer, "message": answer["message"].replace("{kind}", plural)},
        )
    )


def _forbid(world: World, values: Values) -> None:
    """Refuse all calls in a namespace, as without a RoleBinding there (403), or while it is being made anew (404)."""
    world.server.rules.append(
        Rule(
            NAMESPACE_FORBIDDEN,
            matches=lambda _, path: f"/namespaces/{values['namespace']}/" in path,
            until=world.loop.time() + values["seconds"],
            status=values["status"],
            answer=_NO_PATH if values["status"] == 404 else {"reason": "Forbidden", "message": "no RoleBinding"},
        )
    )


def _streams(world: World, plural: str) -> list[Any]:
    return [
        watch
        for process in world.processes
        if process.alive
        for watch in process.watches
        if plural in {"", watch.plural}
    ]


def _cut(world: World, values: Values) -> None:
    """End streams; after `compacted`, they cannot go on from where they were (410)."""
    for watch in _streams(world, values["of"]):
        if watch.stream is not None:
            watch.stream.cut()
    if values["compacted"]:
        world.store.compact()


def _gap(world: World, values: Values) -> None:
    """Let watches neither list nor follow for a while; what is deleted meanwhile they never see."""
    for watch in _streams(world, values["of"]):
        watch.blocked_until = max(watch.blocked_until, world.loop.time() + values["seconds"])
        if watch.stream is not None:
            watch.stream.cut()
    world.loop.call_later(values["seconds"], world.store.compact)


def _silent(world: World, values: Values) -> None:
    """Keep streams open without sending anything, until the client's own time-out ends them."""
    streams = [watch.stream for watch in _streams(world, values["of"]) if watch.stream is not None]
    for stream in streams:
        stream.silent = True
        world.loop.call_later(values["seconds"], stream.cut)


def _twice(world: World, values: Values) -> None:
    """Deliver events twice for a while, the second time late and so out of order with others."""
    watches = _streams(world, values["of"])
    for watch in watches:
        watch.twice = True

    def end() -> None:
        for watch in watches:
            watch.twice = False

    world.loop.call_later(values["seconds"], end)


def _old_again(world: World, values: Values) -> None:
    """Show older versions of objects that exist after newer ones, as a stale server behind a balancer does."""
    alive = {body["metadata"]["uid"] for body in world.store.objects.values()}
    watches = _streams(world, values["of"])
    old: list[Change] = [
        change for change in world.store.history if change.kind != "DELETED" and change.body["metadata"]["uid"] in alive
    ]
    for change in old[-values["events"] :]:
        for watch in watches:
            watch.show_again(change)


KINDS: Final[Mapping[str, Kind]] = {
    "calls fail": Kind(_draw_failure, _fail),
    "calls slow": Kind(lambda chance, runs: {**_draw_failure(chance, runs), "late": seconds(chance, 1.0, 60.0)}, _slow),
    "admission refuses": Kind(
        lambda chance, _: {
            "of": chance.choice(("jobs", "jobs", "configmaps", "deployments", "services", "trainingruns")),
            "why": chance.choice(sorted(REFUSALS)),
            "share": chance.choice((0.5, 1.0)),
            "seconds": seconds(chance, 5.0, 1200.0),
        },
        _refuse,
    ),
    NAMESPACE_FORBIDDEN: Kind(
        lambda chance, runs: {
            "namespace": chance.choice(runs).namespace,
            "status": chance.choice((403, 404)),
            "seconds": seconds(chance, 30.0, 600.0),
        },
        _forbid,
    ),
    "watches cut": Kind(lambda chance, _: {"of": chance.choice(WATCHED), "compacted": chance.random() < 0.5}, _cut),
    "watches with a gap": Kind(
        lambda chance, _: {"of": chance.choice(WATCHED), "seconds": seconds(chance, 1.0, 300.0)}, _gap
    ),
    "watches silent": Kind(
        lambda chance, _: {"of": chance.choice(WATCHED), "seconds": seconds(chance, 10.0, 600.0)}, _silent
    ),
    "events twice": Kind(
        lambda chance, _: {"of": chance.choice(WATCHED), "seconds": seconds(chance, 10.0, 600.0)}, _twice
    ),
    "old versions again": Kind(
        lambda chance, _: {"of": chance.choice(WATCHED), "events": chance.randint(1, 30)}, _old_again
    ),
}

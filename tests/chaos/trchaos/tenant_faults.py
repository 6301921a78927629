"""What tenants forge or get in the way of a run: documents, a status, objects under its names, pods with its labels."""

from __future__ import annotations

import copy
import random
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from trchaos.kind import STAGES, Kind, Values, a_run_of, named, of_run, seconds
from trchaos.user_faults import delete_run, retry
from trfakes.store import Object, StatusError

if TYPE_CHECKING:
    from trchaos.schedule import RunPlan
    from trchaos.world import World

SOON_SECONDS: Final = 0.001  # after the run: in which order timers of one moment fire depends on the loop
FORGED_IMAGE: Final = "forged.example.com/trainer:1"
API: Final[Mapping[str, tuple[str, str]]] = {"jobs": ("batch/v1", "Job"), "configmaps": ("v1", "ConfigMap")}


def _foreign(world: World, values: Values) -> None:
    """Create an object under the name of a child that the run is about to have; remove it later."""
    namespace, _, name = values["run"].partition("/")
    run = named(world, "trainingruns", values["run"])
    plural, (version, kind) = values["of"], API[values["of"]]
    uid = run["metadata"]["uid"] if run is not None else "00000000"
    child = f"{name}-{values['stage']}-1" if plural == "jobs" else f"{name}-resolved-{uid[:8]}"
    body: Object = {"apiVersion": version, "kind": kind, "metadata": {"name": child}}
    if plural == "jobs":
        body["spec"] = {"template": {}}
    else:
        body["data"] = {"resolved.json": "{}"}
    try:
        made = world.store.create(plural, body, namespace=namespace)
    except StatusError:
        return

    def remove() -> None:
        found = world.store.find(plural, child, namespace=namespace)
        if found is not None and found["metadata"]["uid"] == made["metadata"]["uid"]:
            world.store.delete(plural, child, namespace=namespace)

    world.loop.call_later(values["seconds"], remove)


def _replace_document(world: World, values: Values) -> None:
    """Replace the ConfigMap of a run by one with another text; later delete it, as the run's message asks for."""
    found = of_run(world, "configmaps", values["run"])
    if not found:
        return
    meta = found[0]["metadata"]
    body = {key: copy.deepcopy(value) for key, value in found[0].items() if key != "metadata"}
    body |= {"metadata": {key: meta[key] for key in ("name", "labels", "ownerReferences") if key in meta}}
    body["data"] = {"resolved.json": found[0]["data"]["resolved.json"].replace("tire", "wheel")}
    world.store.delete("configmaps", meta["name"], namespace=meta["namespace"])
    made = world.store.create("configmaps", body, namespace=meta["namespace"])

    def delete() -> None:
        found = world.store.find("configmaps", meta["name"], namespace=meta["namespace"])
        if found is not None and found["metadata"]["uid"] == made["metadata"]["uid"]:
            world.store.delete("configmaps", meta["name"], namespace=meta["namespace"])

    world.loop.call_later(values["seconds"], delete)


def _forge_document(world: World, values: Values) -> None:
    """Create a run once more, and in that moment the ConfigMap that it is about to have, with other images."""
    namespace, _, name = values["run"].partition("/")
    run, found = named(world, "trainingruns", values["run"]), of_run(world, "configmaps", values["run"])
    if run is None or not found:
        return
    text = found[0]["data"]["resolved.json"].replace(world.settings.trainer_image, FORGED_IMAGE)
    delete_run(world, {"run": values["run"], "again": values["again"]})

    def forge() -> None:
        made = named(world, "trainingruns", values["run"])
        if made is None or made["metadata"]["uid"] == run["metadata"]["uid"]:
            return
        meta = made["metadata"]
        owner = {"uid": meta["uid"], "controller": True, "name": name, "kind": run["kind"]}
        child = f"{name}-resolved-{meta['uid'][:8]}"
        body: Object = {
            "metadata": {"name": child, "ownerReferences": [{**owner, "apiVersion": run["apiVersion"]}]},
            "data": {"resolved.json": text},
        }
        try:
            world.store.create("configmaps", body, namespace=namespace)
        except StatusError:
            return
        world.loop.call_later(values["seconds"], remove, child, text)

    def remove(child: str, text: str) -> None:
        held = world.store.find("configmaps", child, namespace=namespace)
        if held is not None and held["data"]["resolved.json"] == text:
            world.store.delete("configmaps", child, namespace=namespace)

    world.loop.call_later(values["again"] + SOON_SECONDS, forge)


def _forge(world: World, values: Values) -> None:
    """Write into the status of a run what only the operator may write, or remove all of it; later raise spec.retry."""
    namespace, _, name = values["run"].partition("/")
    run = named(world, "trainingruns", values["run"])
    if run is None:
        return
    if values["what"] == "wiped":
        patch: dict[str, Any] = dict.fromkeys(run.get("status") or {})
    else:
        accepted = {
            "type": "Accepted",
            "status": "True",
            "reason": "Accepted",
            "message": "",
            "lastTransitionTime": world.store.now_text(),
        }
        others = [c for c in (run.get("status") or {}).get("conditions") or () if c["type"] != "Accepted"]
        patch = {"conditions": [accepted, *others], "resolvedDigest": "0" * 64}
    world.store.patch("trainingruns", name, {"status": patch}, namespace=namespace, status=True)
    world.loop.call_later(values["seconds"], retry, world, {"run": values["run"], "by": 1})


def _hostile_pod(world: World, values: Values) -> None:
    """Run a pod with the labels of a run's attempt, which is none of its pods."""
    namespace, _, name = values["run"].partition("/")
    run = named(world, "trainingruns", values["run"])
    if run is None:
        return
    labels = {
        "trainingrun.dev/run": name,
        "trainingrun.dev/run-uid": run["metadata"]["uid"],
        "trainingrun.dev/stage": values["stage"],
        "trainingrun.dev/attempt": str(values["attempt"]),
    }
    child = f"{name}-hostile-{values['attempt']}"
    if world.store.find("pods", child, namespace=namespace) is not None:
        return
    body: Object = {
        "metadata": {"name": child, "labels": labels},
        "spec": {"nodeName": "node-0", "containers": [{"name": "agent"}]},
        "status": {"phase": "Running", "podIP": "10.255.0.1"},
    }
    world.store.create("pods", body, namespace=namespace)

    def remove() -> None:
        if world.store.find("pods", child, namespace=namespace) is not None:
            world.store.remove("pods", child, namespace=namespace)

    world.loop.call_later(values["seconds"], remove)


def _draw_hostile(chance: random.Random, runs: Sequence[RunPlan]) -> Values:
    return {
        "run": a_run_of(chance, runs),
        "stage": chance.choice(STAGES),
        "attempt": chance.randint(1, 3),
        "seconds": seconds(chance, 5.0, 900.0),
    }


KINDS: Final[Mapping[str, Kind]] = {
    "foreign object": Kind(
        lambda chance, runs: {
            "run": a_run_of(chance, runs),
            "of": chance.choice(sorted(API)),
            "stage": chance.choice(STAGES),
            "seconds": seconds(chance, 5.0, 900.0),
        },
        _foreign,
    ),
    "document replaced": Kind(
        lambda chance, runs: {"run": a_run_of(chance, runs), "seconds": seconds(chance, 1.0, 900.0)},
        _replace_document,
    ),
    "document forged": Kind(
        lambda chance, runs: {
            "run": a_run_of(chance, runs),
            "again": seconds(chance, 0.5, 30.0),
            "seconds": seconds(chance, 1.0, 300.0),
        },
        _forge_document,
        lambda values: float(values["again"] + values["seconds"]),
    ),
    "status forged": Kind(
        lambda chance, runs: {
            "run": a_run_of(chance, runs),
            "what": chance.choice(("wiped", "accepted")),
            "seconds": seconds(chance, 1.0, 600.0),
        },
        _forge,
    ),
    "hostile pod": Kind(_draw_hostile, _hostile_pod),
}

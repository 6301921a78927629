"""What users do at a bad moment: delete, change, suspend, retry. Several of it may come at the same moment."""

from __future__ import annotations

import copy
import random
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from trchaos.kind import Kind, Values, a_run_of, named, of_run, picked, seconds, share

if TYPE_CHECKING:
    from trchaos.schedule import RunPlan
    from trchaos.world import World

CHILDREN: Final = ("jobs", "pods", "configmaps", "deployments", "services")


def _change_spec(world: World, key: str, **fields: Any) -> None:
    namespace, _, name = key.partition("/")
    if named(world, "trainingruns", key) is not None:
        world.store.patch("trainingruns", name, {"spec": fields}, namespace=namespace)


def _delete_child(world: World, values: Values) -> None:
    """Delete a Job, pod, ConfigMap, Deployment or Service of a run."""
    child = picked(of_run(world, values["of"], values["run"]), values["pick"])
    if child is not None:
        world.store.delete(values["of"], child["metadata"]["name"], namespace=child["metadata"]["namespace"])


def delete_run(world: World, values: Values) -> None:
    """Delete a run; `again`: create one of the same name and spec so many seconds later."""
    run = named(world, "trainingruns", values["run"])
    if run is None:
        return
    namespace, name = run["metadata"]["namespace"], run["metadata"]["name"]
    world.store.delete("trainingruns", name, namespace=namespace)
    if values["again"] is None:
        return
    body = {key: copy.deepcopy(run[key]) for key in ("apiVersion", "kind", "spec")} | {"metadata": {"name": name}}

    def create() -> None:
        if named(world, "trainingruns", values["run"]) is None and world.store.accepts(namespace):
            world.create_run(body, world.wishes[values["run"]], namespace=namespace)

    world.loop.call_later(values["again"], create)


def _delete_namespace(world: World, values: Values) -> None:
    """Delete a namespace with all that is in it, for good or for a while."""
    world.store.end_namespace(values["namespace"])
    if values["seconds"]:
        world.loop.call_later(values["seconds"], world.store.restore_namespace, values["namespace"])


def _suspend(world: World, values: Values) -> None:
    """Suspend a run; without `seconds` it stays so."""
    _change_spec(world, values["run"], suspend=True)
    if values["seconds"]:
        world.loop.call_later(values["seconds"], lambda: _change_spec(world, values["run"], suspend=False))


def retry(world: World, values: Values) -> None:
    """Raise spec.retry."""
    run = named(world, "trainingruns", values["run"])
    if run is not None:
        _change_spec(world, values["run"], retry=run["spec"].get("retry", 0) + values["by"])


def _finish(world: World, values: Values) -> None:
    """Ask a run to finish; `seconds`: take that back later."""
    _change_spec(world, values["run"], finish=True)
    if values["seconds"]:
        world.loop.call_later(values["seconds"], lambda: _change_spec(world, values["run"], finish=False))


def _ttl(world: World, values: Values) -> None:
    """Set or remove ttlSecondsAfterFinished."""
    _change_spec(world, values["run"], ttlSecondsAfterFinished=values["ttl"])


def _board(world: World, values: Values) -> None:
    """Switch TensorBoard on or off, or change how long it stays."""
    _change_spec(
        world, values["run"], tensorboard={"enabled": values["enabled"], "ttlSecondsAfterFinished": values["ttl"]}
    )


def _draw_changes(chance: random.Random, runs: Sequence[RunPlan]) -> Values:
    """Several changes of one run."""
    changes: dict[str, Any] = {}
    for field in chance.sample(("suspend", "retry", "finish", "ttlSecondsAfterFinished"), chance.randint(2, 3)):
        changes[field] = {
            "suspend": chance.random() < 0.5,
            "retry": chance.randint(1, 3),
            "finish": chance.random() < 0.7,
            "ttlSecondsAfterFinished": chance.choice((0, 60, 3600)),
        }[field]
    return {"run": a_run_of(chance, runs), "changes": changes, "seconds": seconds(chance, 1.0, 600.0)}


def _several(world: World, values: Values) -> None:
    """Change several fields at once; a suspension ends later."""
    run = named(world, "trainingruns", values["run"])
    if run is None:
        return
    changes = dict(values["changes"])
    changes["retry"] = max(changes.get("retry", 0), run["spec"].get("retry", 0))
    _change_spec(world, values["run"], **changes)
    if changes.get("suspend"):
        world.loop.call_later(values["seconds"], lambda: _change_spec(world, values["run"], suspend=False))


def _sometimes(chance: random.Random, least: float, most: float) -> float | None:
    return seconds(chance, least, most) if chance.random() < 0.7 else None


def _lasts(values: Values) -> float:
    return float(values.get("seconds") or values.get("again") or 0.0)


KINDS: Final[Mapping[str, Kind]] = {
    "child deleted": Kind(
        lambda chance, runs: {"run": a_run_of(chance, runs), "of": chance.choice(CHILDREN), "pick": share(chance)},
        _delete_child,
    ),
    "run deleted": Kind(
        lambda chance, runs: {"run": a_run_of(chance, runs), "again": _sometimes(chance, 0.01, 120.0)},
        delete_run,
        _lasts,
    ),
    "namespace deleted": Kind(
        lambda chance, runs: {"namespace": chance.choice(runs).namespace, "seconds": _sometimes(chance, 5.0, 600.0)},
        _delete_namespace,
        _lasts,
    ),
    "run suspended": Kind(
        lambda chance, runs: {"run": a_run_of(chance, runs), "seconds": _sometimes(chance, 0.1, 1200.0)},
        _suspend,
        _lasts,
    ),
    "retry raised": Kind(lambda chance, runs: {"run": a_run_of(chance, runs), "by": chance.choice((1, 1, 2))}, retry),
    "finish asked": Kind(
        lambda chance, runs: {
            "run": a_run_of(chance, runs),
            "seconds": None if chance.random() < 0.6 else seconds(chance, 0.1, 120.0),
        },
        _finish,
        _lasts,
    ),
    "ttl changed": Kind(
        lambda chance, runs: {"run": a_run_of(chance, runs), "ttl": chance.choice((0, 0, 1, 60, 3600, None))}, _ttl
    ),
    "board changed": Kind(
        lambda chance, runs: {
            "run": a_run_of(chance, runs),
            "enabled": chance.random() < 0.5,
            "ttl": chance.choice((0, 60, 3600)),
        },
        _board,
    ),
    "several changes": Kind(_draw_changes, _several),
}

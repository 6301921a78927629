"""Where training starts, as the resolved document has it: weights (model.pretrained), or another run (resumeFrom).

A run that is named must have come to an end first. Invariant: a run never waits for itself, also not by way of others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from trainingrun.api import reasons
from trainingrun.api.conditions import ACCEPTED, FINISHED, SUCCEEDED, is_true
from trainingrun.api.names import Phase
from trainingrun.api.reason import Reason
from trainingrun.api.run import Run
from trainingrun.api.settings import Settings
from trainingrun.domain import policy
from trainingrun.domain.near_misses import did_you_mean
from trainingrun.domain.refusal import NotAcceptedError

FindRun = Callable[[str], Run | None]
Neighbours = Callable[[], Iterable[Run]]  # the runs of a namespace, perhaps not all
MAX_CIRCLE: Final = 100  # runs that are looked at for one that waits for itself
_PRETRAINED: Final = "spec.model.pretrained.run"
_RESUME: Final = "spec.resumeFrom.run"


def split_uri(uri: str, *, bucket: str) -> tuple[str, str]:
    """Split `s3://bucket/key` or a bare key of the run's own bucket into bucket and key."""
    if uri.startswith("s3://"):
        named, _, key = uri.removeprefix("s3://").partition("/")
        return named, key
    return bucket, uri


def address(uri: str, *, bucket: str) -> dict[str, str]:
    """Return an address as the resolved document has it."""
    named, key = split_uri(uri, bucket=bucket)
    return {"bucket": named, "key": key}


def pretrained(run: Run, *, settings: Settings, find_run: FindRun, neighbours: Neighbours) -> dict[str, Any] | None:
    """Return the weights to start from, None without any; raises NotAcceptedError.

    What is not asked for is left out, so that a document of an earlier version is made again as it was.
    """
    asked = (run.spec.get("model") or {}).get("pretrained")
    if not asked:
        return None
    scope = asked.get("scope", "auto")
    more = {
        **({"scope": scope} if scope != "auto" else {}),
        **({"sha256": asked["sha256"]} if "sha256" in asked else {}),
    }
    uri = asked.get("uri", "")
    if uri.startswith("https://"):
        refused = policy.refused_networks_of_weights(uri, settings=settings)
        return {"url": uri, **({"refusedNetworks": list(refused)} if refused else {}), **more}
    uri = uri or _export_of(run, asked["run"], find_run=find_run, neighbours=neighbours)
    return {**address(uri, bucket=run.spec["storage"]["bucket"]), **more}


def resume_from(run: Run, *, find_run: FindRun, neighbours: Neighbours) -> dict[str, str] | None:
    """Return the folder of the run whose training this one continues, None without one; raises NotAcceptedError."""
    asked = run.spec.get("resumeFrom")
    if not asked:
        return None
    uri = asked.get("uri") or _folder_of(run, asked["run"], find_run=find_run, neighbours=neighbours)
    return address(uri, bucket=run.spec["storage"]["bucket"])


def _export_of(run: Run, name: str, *, find_run: FindRun, neighbours: Neighbours) -> str:
    """The address of another run's export; raises NotAcceptedError, which waits only if there can be one some day."""
    _refuse_circle(
        run, reasons.PRETRAINED_RUN_CIRCULAR, f"{_PRETRAINED}: this run would wait for its own export", find_run
    )
    missing = reasons.PRETRAINED_RUN_NOT_FOUND
    other = _other(run, name, field=_PRETRAINED, missing=missing, find_run=find_run, neighbours=neighbours)
    uri = (other.status.get("export") or {}).get("uri", "")
    kinds = other.status.get("conditions") or ()
    if uri and is_true(kinds, SUCCEEDED):
        return uri
    phase = other.status.get("phase", "Pending")
    if is_true(kinds, FINISHED):
        what = f"{_PRETRAINED}: TrainingRun {name!r} has ended without an export (phase {phase})."
        raise NotAcceptedError(reasons.PRETRAINED_RUN_FAILED, what)
    what = f"{_PRETRAINED}: TrainingRun {name!r} has no export yet (phase {phase}); waiting for it."
    raise NotAcceptedError(reasons.PRETRAINED_RUN_NOT_READY, what)


def _folder_of(run: Run, name: str, *, find_run: FindRun, neighbours: Neighbours) -> str:
    """The folder of another run in the bucket, once no attempt of it can add a checkpoint; raises NotAcceptedError."""
    _refuse_circle(run, reasons.RESUME_FROM_RUN_CIRCULAR, f"{_RESUME}: this run would wait for itself", find_run)
    missing = reasons.RESUME_FROM_RUN_NOT_FOUND
    other = _other(run, name, field=_RESUME, missing=missing, find_run=find_run, neighbours=neighbours)
    phase = other.status.get("phase", Phase.PENDING.value)
    folder = other.status.get("storageURI", "")
    finished = is_true(other.status.get("conditions") or (), FINISHED)
    if not finished and phase != Phase.SUSPENDED.value:
        what = f"{_RESUME}: TrainingRun {name!r} has not ended and is not suspended (phase {phase}); waiting for it."
        raise NotAcceptedError(reasons.RESUME_FROM_RUN_NOT_READY, what)
    if not folder:
        what = f"{_RESUME}: TrainingRun {name!r} was never accepted, so it has no training to continue (phase {phase})."
        raise NotAcceptedError(reasons.RESUME_FROM_RUN_EMPTY, what)
    return folder


def _other(run: Run, name: str, *, field: str, missing: Reason, find_run: FindRun, neighbours: Neighbours) -> Run:
    """Return the run of this name in the namespace; raises NotAcceptedError, which waits, if there is none."""
    other = find_run(f"{run.namespace}/{name}")
    if other is not None and not other.deleting:
        return other
    close = did_you_mean(name, (known.name for known in neighbours() if known.name != run.name))
    meant = f" (did you mean {close!r}?)" if close else ""
    what = f"{field}: there is no TrainingRun {name!r}{meant} in namespace {run.namespace}; waiting for it."
    raise NotAcceptedError(missing, what)


def _refuse_circle(run: Run, reason: Reason, what: str, find_run: FindRun) -> None:
    circle = _circle(run, find_run=find_run)
    if circle:
        raise NotAcceptedError(reason, f"{what}: {' -> '.join(circle)}.")


def _circle(run: Run, *, find_run: FindRun) -> list[str]:
    """Names of the runs that wait for each other, from this one back to itself; empty if it waits for no such run."""
    names = [run.name]
    known: Run | None = run
    while known is not None and len(names) <= MAX_CIRCLE and (known is run or not _is_accepted(known)):
        name = _waits_for(known.spec)
        if name == run.name:
            return [*names, name]
        if name is None or name in names:
            return []  # it needs none, or others wait for each other, and are refused themselves
        names.append(name)
        known = find_run(f"{run.namespace}/{name}")
    return []


def _waits_for(spec: Mapping[str, Any]) -> str | None:
    """The name of the run that a spec names; the CRD allows only one of the two fields."""
    weights = (spec.get("model") or {}).get("pretrained") or {}
    name = weights.get("run") or (spec.get("resumeFrom") or {}).get("run")
    return None if name is None else str(name)


def _is_accepted(run: Run) -> bool:
    return is_true(run.status.get("conditions") or (), ACCEPTED)

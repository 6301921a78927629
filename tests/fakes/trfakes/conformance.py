"""Seeded sequences of API operations, and what they show: the same from every implementation of the API.

Operations are those that the operator's safety depends on. UIDs, versions and times differ between implementations, so
outcomes name only what follows from them: whether a precondition held, whether a version or a UID is another one.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from trfakes.builders import a_run

Call = Callable[[str, str, Mapping[str, str], dict[str, Any] | None], Awaitable[tuple[int, dict[str, Any]]]]
NAMES: Final = ("conform-a", "conform-b", "conform-c")
PREFIX: Final = {"configmaps": "/api/v1", "trainingruns": "/apis/trainingrun.dev/v1alpha1"}
LABEL: Final = "conform"
OPERATIONS: Final = ("create", "create", "get", "patch", "status", "status", "empty", "delete", "delete", "list")


class Sequence:
    """One sequence in one namespace, which has no objects of these names before and after it."""

    def __init__(self, seed: int, call: Call, *, namespace: str) -> None:
        self._chance = random.Random(seed)  # noqa: S311 - to repeat a sequence
        self._call, self._namespace = call, namespace
        self._seen: dict[tuple[str, str], list[dict[str, Any]]] = {}  # metadata of each object, in its order

    async def outcomes(self, count: int = 40) -> list[str]:
        """Make so many calls; one line for each."""
        found = [await self._step() for _ in range(count)]
        for plural in PREFIX:
            for name in NAMES:
                await self._call("DELETE", self._path(plural, name), {}, {"propagationPolicy": "Background"})
        return found

    async def _step(self) -> str:
        chance = self._chance
        plural, name, do = chance.choice(sorted(PREFIX)), chance.choice(NAMES), chance.choice(OPERATIONS)
        holds = chance.choice((None, True, False))  # whether there is a precondition, and whether it should hold
        number = chance.randint(0, 3)
        if do == "list":
            return await self._list(plural, limit=number)
        path, body = self._path(plural, name), self._body(do, plural, name, number)
        if do in {"patch", "status", "empty"} and holds is not None:
            body["metadata"] = {"resourceVersion": self._known(plural, name, "resourceVersion", newest=holds)}
        if do == "delete":
            field = chance.choice(("uid", "resourceVersion"))
            wanted = {} if holds is None else {field: self._known(plural, name, field, newest=holds)}
            body |= {"preconditions": wanted}
        method = {"create": "POST", "get": "GET", "delete": "DELETE"}.get(do, "PATCH")
        if do == "create":
            path = path.rpartition("/")[0]
        if do in {"status", "empty"} and plural == "trainingruns":
            path += "/status"
        code, answer = await self._call(method, path, {}, None if method == "GET" else body)
        return f"{do} {plural}/{name} {holds} {number}: {self._shown(code, answer, plural, name, do)}"

    async def _list(self, plural: str, *, limit: int) -> str:
        """All pages of a listing."""
        query = {"labelSelector": LABEL} | ({"limit": str(limit)} if limit else {})
        pages: list[list[str]] = []
        while True:
            code, answer = await self._call("GET", self._path(plural, ""), query, None)
            if code != 200:
                return f"list {plural}: {code}"
            pages.append([item["metadata"]["name"] for item in answer["items"]])
            if not (token := answer["metadata"].get("continue")):
                return f"list {plural} by {limit}: {pages}"
            query["continue"] = token

    def _body(self, do: str, plural: str, name: str, number: int) -> dict[str, Any]:
        meta = {"name": name, "labels": {LABEL: "yes"}}
        if do == "create" and plural == "configmaps":
            return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {"number": str(number)}}
        if do == "create":
            made = a_run(name).body()
            return {key: made[key] for key in ("apiVersion", "kind", "spec")} | {"metadata": meta}
        if do == "delete":
            return {"propagationPolicy": "Background"}
        if do == "patch":
            data: dict[str, Any] = {"data": {"number": str(number), "gone": None}}
            run = {"spec": {"suspend": number % 2 == 0}, "status": {"message": "is ignored"}}
            return data if plural == "configmaps" else run
        if do == "status" and plural == "trainingruns":
            return {"spec": {"retry": 9}, "status": {"message": str(number), "phase": None}}
        return {}

    def _known(self, plural: str, name: str, field: str, *, newest: bool) -> str:
        """A UID or version of an object that was seen: the newest, or one that was never right or no longer is."""
        seen = [meta[field] for meta in self._seen.get((plural, name), ())]
        if newest:
            return str(seen[-1]) if seen else "1"
        older = [value for value in seen if value != seen[-1]]
        return str(older[-1]) if older else ("1" if field == "resourceVersion" else "0-0-0-0-0")

    def _shown(self, code: int, answer: dict[str, Any], plural: str, name: str, do: str) -> str:
        if code >= 300:
            return f"{code} {answer.get('reason', '')}"
        if do == "delete":
            return str(code)
        meta, before = answer["metadata"], self._seen.setdefault((plural, name), [])
        last = before[-1] if before else {}
        before.append(meta)
        same = [field for field in ("uid", "resourceVersion") if last.get(field) == meta[field]]
        shown = {"same": same, "data": answer.get("data"), "status": answer.get("status") or {}}
        if plural == "trainingruns":
            shown |= {"generation": meta["generation"], "spec": _spec(answer)}
        return f"{code} {shown}"

    def _path(self, plural: str, name: str) -> str:
        return f"{PREFIX[plural]}/namespaces/{self._namespace}/{plural}" + (f"/{name}" if name else "")


def _spec(answer: dict[str, Any]) -> dict[str, Any]:
    """The fields that sequences change."""
    return {field: answer["spec"].get(field) for field in ("suspend", "retry")}

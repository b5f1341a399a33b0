"""Follow lists of objects at the API server: each change wakes whoever waits."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from typing import Any

Json = dict[str, Any]

PATHS = {
    "pods": "/api/v1/pods",
    "namespaces": "/api/v1/namespaces",
    "policies": "/apis/networking.k8s.io/v1/networkpolicies",
}


class Mirror:
    """What the API server holds of the watched kinds, kept up to date by a thread for each."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._lock = threading.Lock()
        self._held: dict[str, dict[str, Json]] = {}
        self.changed = threading.Event()

    def start(self) -> None:
        for kind in PATHS:
            threading.Thread(target=self._follow, args=(kind,), daemon=True).start()

    def complete(self) -> bool:
        """Whether every kind was listed once."""
        with self._lock:
            return len(self._held) == len(PATHS)

    def objects(self, kind: str) -> list[Json]:
        with self._lock:
            return list(self._held[kind].values())

    def _follow(self, kind: str) -> None:
        while True:
            try:
                version = self._list(kind)
                while version:
                    version = self._watch(kind, version)
            except Exception as problem:
                # The API server restarts, refuses or forgets: list again.
                print(f"watching {kind}: {type(problem).__name__}: {problem}", flush=True)
            time.sleep(0.5)

    def _list(self, kind: str) -> str:
        listing = json.loads(self._get(PATHS[kind]).data)
        found = {_key(each): each for each in listing.get("items") or ()}
        with self._lock:
            self._held[kind] = found
        self.changed.set()
        return listing["metadata"]["resourceVersion"]

    def _watch(self, kind: str, version: str) -> str:
        """Take in changes until the server ends the watch; the version to go on from, or none: list again."""
        query = {
            "watch": "1",
            "resourceVersion": version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": "240",
        }
        for line in _lines(self._get(PATHS[kind], query)):
            event = json.loads(line)
            if event["type"] == "ERROR":
                return ""
            changed = event["object"]
            version = changed["metadata"]["resourceVersion"]
            if event["type"] != "BOOKMARK":
                self._take(kind, event["type"], changed)
        return version

    def _take(self, kind: str, event: str, changed: Json) -> None:
        with self._lock:
            if event == "DELETED":
                self._held[kind].pop(_key(changed), None)
            else:
                self._held[kind][_key(changed)] = changed
        self.changed.set()

    def _get(self, path: str, query: dict[str, str] | None = None) -> Any:
        parameters = self._client.param_serialize(
            "GET",
            path,
            query_params=list((query or {}).items()),
            header_params={"Accept": "application/json"},
            auth_settings=["BearerToken"],
        )
        answer = self._client.call_api(*parameters, _request_timeout=(5, 300)).response
        if answer.status != 200:
            raise RuntimeError(f"GET {path}: {answer.status} {answer.data[:200]!r}")
        return answer


def _key(each: Json) -> str:
    meta = each["metadata"]
    return f"{meta.get('namespace', '')}/{meta['name']}"


def _lines(answer: Any) -> Iterator[bytes]:
    rest = b""
    for chunk in answer.stream(4096):
        *whole, rest = (rest + chunk).split(b"\n")
        yield from (line for line in whole if line)


__all__ = ["Mirror"]

"""Pushes an image archive to a registry over its HTTP API."""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import tarfile
import time
from pathlib import Path
from urllib.parse import urlsplit

# What the private registry asks for; its hash is in manifests/registry.htpasswd.
LOGIN = ("puller", "let-me-pull")
# In both registries.
REPOSITORIES = (("team/app", "1.0"), ("team/app", "1.1"), ("team/worker", "2.4"))


class PushFailed(RuntimeError):
    """The registry refused something."""


def push(archive: Path, host: str, name: str, tag: str, login: tuple[str, str] | None = None) -> None:
    """Push the archive's first image as NAME:TAG."""
    registry = _Registry(host, login)
    with tarfile.open(archive) as files:

        def blob(digest: str) -> bytes:
            content = files.extractfile(f"blobs/{digest.replace(':', '/')}")
            assert content is not None
            return content.read()

        index = files.extractfile("index.json")
        assert index is not None
        entry = json.load(index)["manifests"][0]
        manifest = json.loads(blob(entry["digest"]))
        config = _own_config(blob(manifest["config"]["digest"]), f"{host}/{name}:{tag}")
        manifest["config"] |= {"digest": _digest(config), "size": len(config)}
        registry.upload(name, _digest(config), config)
        for layer in manifest["layers"]:
            registry.upload(name, layer["digest"], blob(layer["digest"]))
    content = json.dumps(manifest).encode()
    registry.call("PUT", f"/v2/{name}/manifests/{tag}", content, 201, entry["mediaType"])


def _own_config(config: bytes, title: str) -> bytes:
    """The image's configuration, made another image's by a label.

    A kubelet remembers by an image's id which credentials it was pulled with, and asks others who use the same
    id for theirs: without this, a private pull would lock up the preloaded image that it was made from.
    """
    changed = json.loads(config)
    changed["config"]["Labels"] = {"org.opencontainers.image.title": title}
    return json.dumps(changed, sort_keys=True).encode()


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


class _Registry:
    def __init__(self, host: str, login: tuple[str, str] | None) -> None:
        self._host = host
        self._headers = {}
        if login is not None:
            word = base64.b64encode(":".join(login).encode()).decode()
            self._headers = {"Authorization": f"Basic {word}"}

    def upload(self, name: str, digest: str, content: bytes) -> None:
        if self._request("HEAD", f"/v2/{name}/blobs/{digest}", b"", "").status == 200:
            return
        begun = self.call("POST", f"/v2/{name}/blobs/uploads/", b"", 202)
        location = urlsplit(begun.headers["Location"])
        path = f"{location.path}?{location.query}&digest={digest}"
        self.call("PUT", path, content, 201)

    def call(
        self, method: str, path: str, body: bytes, wanted: int, media: str = "application/octet-stream"
    ) -> http.client.HTTPResponse:
        answer = self._request(method, path, body, media)
        if answer.status != wanted:
            raise PushFailed(f"{method} {path} at {self._host}: {answer.status} {answer.reason}")
        return answer

    def _request(
        self, method: str, path: str, body: bytes, media: str, patience: float = 20
    ) -> http.client.HTTPResponse:
        headers = {**self._headers, **({"Content-Type": media} if media else {})}
        end = time.monotonic() + patience
        while True:
            connection = http.client.HTTPConnection(self._host, timeout=10)
            try:
                connection.request(method, path, body=body, headers=headers)
                answer = connection.getresponse()
                answer.read()
                return answer
            except ConnectionRefusedError:
                # It has just been started.
                if time.monotonic() > end:
                    raise
                time.sleep(0.1)
            finally:
                connection.close()

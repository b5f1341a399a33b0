"""Each test image really runs its program, and the same packages give the same bytes."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cluster.images import RECIPES, ImagesUnavailable, ensure_images, reference
from tests.cluster.images.build import default_cache

pytestmark = pytest.mark.realnode


def unpack(archive: Path, root: Path) -> None:
    """The image's layers laid upon each other, with the one device that programs expect."""
    root.mkdir(mode=0o755)
    with tarfile.open(archive) as image:
        manifest = image_json(image, image_json(image, "index.json")["manifests"][0]["digest"])
        for layer in manifest["layers"]:
            content = image.extractfile(blob(layer["digest"]))
            with tarfile.open(fileobj=content) as files:
                files.extractall(root, filter="fully_trusted")
    os.mknod(root / "dev/null", 0o20666, os.makedev(1, 3))
    (root / "dev/null").chmod(0o666)


def blob(digest: str) -> str:
    return "blobs/" + digest.replace(":", "/")


def image_json(image: tarfile.TarFile, name: str) -> dict:
    content = image.extractfile(blob(name) if ":" in name else name)
    assert content
    return json.load(content)


def inside(root: Path, *command: str, user: str = "0") -> subprocess.CompletedProcess[str]:
    away = ["unshare", "--mount", "--pid", "--fork", f"--mount-proc={root}/proc"]
    return subprocess.run(
        [*away, "chroot", f"--userspec={user}:{user}", str(root), *command],
        capture_output=True,
        text=True,
        timeout=120,
        env={"PATH": "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
    )


@pytest.fixture(scope="module")
def archives() -> dict[str, Path]:
    if os.geteuid():
        pytest.skip("running an image's program takes root: run the tests as root")
    try:
        return ensure_images(default_cache())
    except ImagesUnavailable as reason:
        pytest.skip(str(reason))


@pytest.fixture(scope="module")
def root_of(archives: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    roots: dict[str, Path] = {}

    def root(name: str) -> Path:
        if name not in roots:
            roots[name] = tmp_path_factory.mktemp(name) / "root"
            unpack(archives[name], roots[name])
        return roots[name]

    return root


@pytest.mark.parametrize("name", RECIPES)
def test_its_program_runs(root_of: Callable[[str], Path], name: str) -> None:
    done = inside(root_of(name), *RECIPES[name].proof)
    assert done.returncode == 0, done.stderr


def test_the_archive_is_named_for_its_image(archives: dict[str, Path]) -> None:
    for name, archive in archives.items():
        with tarfile.open(archive) as image:
            entry = image_json(image, "index.json")["manifests"][0]
            config = image_json(image, image_json(image, entry["digest"])["config"]["digest"])
            digests = config["rootfs"]["diff_ids"]
            sums = [hashlib.sha256(image.extractfile(blob(digest)).read()).hexdigest() for digest in digests]
        assert entry["annotations"]["io.containerd.image.name"] == reference(name)
        assert sums == [digest.partition(":")[2] for digest in digests]


POSTGRES = """
start-postgres -p 54399 > /tmp/log 2>&1 &
for i in $(seq 60); do pg_isready -h /tmp -p 54399 -q && break; sleep 1; done
cat /tmp/log
psql -h /tmp -p 54399 -U postgres -Atc 'select 6*7'
"""


def test_a_database_starts_and_answers(root_of: Callable[[str], Path]) -> None:
    done = inside(root_of("postgres"), "/bin/sh", "-c", POSTGRES, user="70")
    assert done.stdout.splitlines()[-1:] == ["42"], done.stdout + done.stderr


def test_the_sandbox_ends_on_sigterm(root_of: Callable[[str], Path]) -> None:
    script = RECIPES["pause"].run.entrypoint[-1]
    whole = f'/bin/sh -c "{script}" & sleep 0.5; kill -TERM $!; wait $!; echo ended $?'
    assert inside(root_of("pause"), "/bin/sh", "-c", whole).stdout == "ended 0\n"


def test_java_prints_its_own_stack_traces(root_of: Callable[[str], Path]) -> None:
    source = 'class Boom { public static void main(String[] a) { throw new IllegalStateException("boom"); } }'
    (root_of("jre") / "Boom.java").write_text(source)
    done = inside(root_of("jre"), "/usr/bin/java", "/Boom.java")
    assert "java.lang.IllegalStateException: boom" in done.stderr
    assert "at Boom.main(Boom.java:1)" in done.stderr

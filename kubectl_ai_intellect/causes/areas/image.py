"""Images that do not arrive, or that do not fit the machine."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from kubectl_ai_intellect.causes.base import Finding, Mend, Symptom, cause
from kubectl_ai_intellect.causes.facts import field, hits, logged, not_there, told
from kubectl_ai_intellect.causes.needs import container_logs, lists, owners, together
from kubectl_ai_intellect.kube.refs import Ref, ref
from kubectl_ai_intellect.kube.source import Object
from kubectl_ai_intellect.state.edits import Patch, set_field
from kubectl_ai_intellect.state.events import Event
from kubectl_ai_intellect.state.graph import State
from kubectl_ai_intellect.state.pods import Container, container, declared, pod_spec, spec_path
from kubectl_ai_intellect.state.relations import replica_sets, workload_of

UNAUTHORIZED = re.compile(
    r"(?i)unauthorized|authentication required|authorization failed|no basic auth credentials|access denied|denied:|"
    r"\b40[13] (?:unauthorized|forbidden)|insufficient_scope|invalid username/password|token.*(?:expired|invalid)"
)
NOT_FOUND = re.compile(
    r"(?i)not found|manifest unknown|name unknown|no such image|repository .* does not exist|\b404\b"
)
RATE = re.compile(r"(?i)toomanyrequests|too many requests|rate limit|\b429\b")
DNS = re.compile(r"(?i)no such host|server misbehaving|name resolution|lookup \S+.*(?:i/o timeout|NXDOMAIN|SERVFAIL)")
UNREACHABLE = re.compile(
    r"(?i)connection refused|i/o timeout|deadline exceeded|no route to host|network is unreachable|connection reset|"
    r"tls: |x509: |http: server gave HTTP response to HTTPS client|\beof\b|\b50[0234] "
)
PLATFORM = re.compile(r"(?i)no match for platform|exec format error|no matching manifest")


def _pull(state: State, symptom: Symptom) -> tuple[Container | None, list[Event]]:
    """The container and what the kubelet said of pulling this very image, latest first."""
    pod = state.find(symptom.at)
    each = container(pod, symptom.at.part) if pod else None
    if each is None:
        return None, []
    events = [
        one
        for one in state.events(symptom.at)
        if one.reason in ("Failed", "InspectFailed", "ErrImageNeverPull", "BackOff")
    ]
    mine = [one for one in events if each.image in one.message or symptom.at.part == one.about.part]
    # The one that says why ("Failed to pull image …: …") before those that only say that it is so.
    return each, sorted(mine, key=lambda one: -len(one.message) if one.reason != "BackOff" else 0)


def _words(each: Container, events: list[Event]) -> str:
    return " ".join([each.waiting.get("message") or "", *(one.message for one in events)])


def registry(image: str) -> str:
    """The registry host of an image name, as the runtime resolves it."""
    first, slash, _ = image.partition("/")
    return first if slash and ("." in first or ":" in first or first == "localhost") else "docker.io"


def last_good_image(state: State, workload: Ref, name: str, now: str) -> tuple[str, str] | None:
    """The image that the newest earlier revision with ready pods (or simply the revision before) ran, and its revision."""
    for owned in replica_sets(state, workload):
        before = declared(owned, name)
        if before and before[0].get("image") not in (None, now):
            return before[0]["image"], owned.annotations.get("deployment.kubernetes.io/revision", "")
    return None


def image_mends(
    state: State, workload: Ref, name: str, image: str, wanted: str = "an image that exists"
) -> Iterator[Mend]:
    """Set another image: the last good revision's where there is one, else a placeholder."""
    owner = state.find(workload)
    place = declared(owner, name) if owner else None
    if place is None:
        return
    good = last_good_image(state, workload, name, image)
    if good:
        yield Mend(
            f"Set the image back to the one of revision {good[1]}, {good[0]}",
            (set_field(workload, *place[1], "image", value=good[0]),),
        )
        yield Mend("Roll back to the revision before", (Patch(workload, action="rollback"),), kind="stopgap")
    else:
        yield Mend(
            f"Set {wanted}",
            (set_field(workload, *place[1], "image", value="<IMAGE>"),),
            unknown=(
                f"<IMAGE>: the name and tag of {wanted}; {image} is not one. No earlier revision tells a good one",
            ),
        )


@cause("image/not-found", "pull-failing", needs=owners)
def not_found(state: State, symptom: Symptom) -> Iterable[Finding]:
    each, events = _pull(state, symptom)
    if each is None or symptom.note in ("InvalidImageName", "ErrImageNeverPull"):
        return
    words = _words(each, events)
    # Registries hide private repositories behind "denied", and containerd words both in one message.
    if (
        not NOT_FOUND.search(words)
        or DNS.search(words)
        or (UNAUTHORIZED.search(words) and "manifest unknown" not in words)
    ):
        return
    workload = workload_of(state, symptom.at)
    yield Finding(
        "image/not-found",
        workload,
        "proved",
        f"container {each.name} asks for image {each.image}, which the registry {registry(each.image)} does not have",
        supports=(field(workload, f"container {each.name} has image {each.image}"), *(told(one) for one in events[:2])),
        mends=tuple(image_mends(state, workload, each.name, each.image)),
    )


def _pull_secrets(state: State, namespace: str) -> list[str]:
    """The Secrets with credentials for registries, told by their keys: a Secret's type is not among its metadata."""
    from kubectl_ai_intellect.causes.areas.config import keys_of

    held = {".dockerconfigjson", ".dockercfg"}
    return [
        one.ref.name for one in state.all("Secret", namespace)
        if keys_of(one) & held or one.raw.get("type") in ("kubernetes.io/dockerconfigjson", "kubernetes.io/dockercfg")
    ]  # fmt: skip


def _made(target: Ref, image: str) -> Mend:
    """The pull Secret that is named, made."""
    body = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": target.name, "namespace": target.namespace},
            "type": "kubernetes.io/dockerconfigjson", "stringData": {".dockerconfigjson": "<DOCKER_CONFIG_JSON>"}}  # fmt: skip
    return Mend(f"Create the Secret {target.name}", (Patch(target, action="create", body=body),),
                unknown=(f"<DOCKER_CONFIG_JSON>: a login for {registry(image)}, as `docker login` writes it to config.json",))  # fmt: skip


def _no_pull_secret(state: State, owner: Ref) -> list[Ref]:
    found = state.find(owner)
    names = pod_spec(found).get("imagePullSecrets") or () if found else ()
    wanted = [ref("Secret", owner.namespace, each.get("name", "")) for each in names]
    return [each for each in wanted if state.absent(each)]


@cause("image/pull-secret-missing", "pull-failing", needs=together(owners, lists("Secret")),
       holds=lambda state, at: bool(_no_pull_secret(state, at)))  # fmt: skip
def pull_secret_missing(state: State, symptom: Symptom) -> Iterable[Finding]:
    each, events = _pull(state, symptom)
    workload = workload_of(state, symptom.at)
    missing = _no_pull_secret(state, symptom.at)
    if each is None or not missing or not UNAUTHORIZED.search(_words(each, events)):
        return
    others = [name for name in _pull_secrets(state, workload.namespace) if name not in {one.name for one in missing}]
    swap = tuple(
        Mend(f"Use the existing pull Secret {name}",
             (set_field(workload, *spec_path(workload.kind), "imagePullSecrets", value=[{"name": name}]),))
        for name in others[:1]
    )  # fmt: skip
    yield Finding(
        "image/pull-secret-missing",
        workload,
        "proved",
        f"{workload.short} pulls with the Secret {missing[0].name}, which does not exist, so {registry(each.image)} refuses",
        supports=(not_there(missing[0]), *(told(one) for one in events[:1])),
        mends=(*swap, _made(missing[0], each.image)),
        weight=0.5,
    )


@cause("image/architecture-mismatch", "pull-failing", "container-restarting", "start-refused",
       needs=together(owners, container_logs))  # fmt: skip
def architecture_mismatch(state: State, symptom: Symptom) -> Iterable[Finding]:
    each, events = _pull(state, symptom)
    if each is None:
        return
    said = [logged(symptom.at, hit, previous=previous) for hit, previous in hits(state, symptom.at, "exec-format")]
    said += [told(one) for one in events if PLATFORM.search(one.message)]
    words = each.waiting.get("message") or each.death.get("message") or ""
    if PLATFORM.search(words):
        said.append(field(symptom.at.whole(), f"container {each.name}: {words}"))
    if said:
        workload = workload_of(state, symptom.at)
        yield Finding(
            "image/architecture-mismatch", workload, "proved",
            f"image {each.image} is not built for the machine it runs on", supports=tuple(said[:3]),
            mends=tuple(image_mends(state, workload, each.name, each.image, "an image built for its nodes")), weight=0.3,
        )  # fmt: skip


@cause("image/invalid-name", "pull-failing", needs=owners)
def invalid_name(state: State, symptom: Symptom) -> Iterable[Finding]:
    each, events = _pull(state, symptom)
    words = _words(each, events) if each else ""
    if each is None or (symptom.note != "InvalidImageName" and "invalid reference format" not in words):
        return
    workload = workload_of(state, symptom.at)
    yield Finding(
        "image/invalid-name",
        workload,
        "proved",
        f'container {each.name} has image "{each.image}", which is no valid image name{_why_invalid(each.image)}',
        supports=(
            field(workload, f'container {each.name} has image "{each.image}"'),
            *(told(one) for one in events[:1]),
        ),
        mends=(*_valid_name(state, workload, each), *image_mends(state, workload, each.name, each.image)),
        weight=0.5,
    )


VALID = re.compile(
    r"(?:[a-zA-Z0-9.-]+(?::\d+)?/)?[a-z0-9]+(?:[._/-]+[a-z0-9]+)*(?::\w[\w.-]{0,127})?(?:@sha256:[0-9a-f]{64})?"
)


def _valid_name(state: State, workload: Ref, each: Container) -> Iterator[Mend]:
    """The name as it was most likely meant: without a scheme, white space or an empty tag, in lower case."""
    plain = re.sub(r"^https?://|\s+", "", each.image).rstrip(":/").replace("::", ":")
    repository, colon, tag = plain.rpartition(":") if ":" in plain.rsplit("/", 1)[-1] else (plain, "", "")
    meant = f"{repository.lower()}{colon}{tag}"
    owner = state.find(workload)
    place = declared(owner, each.name) if owner else None
    if place and meant != each.image and VALID.fullmatch(meant):
        yield Mend(f"Write it {meant}", (set_field(workload, *place[1], "image", value=meant),),
                   unknown=(f"whether {meant} is the image that was meant: it is a valid name, and was not looked up",))  # fmt: skip


def _why_invalid(image: str) -> str:
    if image != image.lower() and "/" in image:
        return ": repository names are lower case"
    if image.startswith(("http://", "https://")):
        return ": it must not begin with a URL scheme"
    if " " in image or image != image.strip():
        return ": it holds white space"
    return (
        ": a tag or a part of it is empty or has a character that is not allowed"
        if image.endswith(":") or "::" in image
        else ""
    )


@cause("image/never-pull-absent", "pull-failing", needs=owners)
def never_pull(state: State, symptom: Symptom) -> Iterable[Finding]:
    each, events = _pull(state, symptom)
    if each is None or symptom.note != "ErrImageNeverPull":
        return
    workload = workload_of(state, symptom.at)
    owner = state.find(workload)
    place = declared(owner, each.name) if owner else None
    mends = (
        Mend("Let the kubelet pull it", (set_field(workload, *place[1], "imagePullPolicy", value="IfNotPresent"),)),
    ) if place else ()  # fmt: skip
    yield Finding(
        "image/never-pull-absent",
        workload,
        "proved",
        f"container {each.name} has imagePullPolicy Never, and image {each.image} is not on the node",
        supports=(field(workload, f"container {each.name} has imagePullPolicy Never and image {each.image}"),
                  *(told(one) for one in events[:1])),
        mends=(*mends, *image_mends(state, workload, each.name, each.image)),
        weight=0.5,
    )  # fmt: skip


@cause("image/rate-limited", "pull-failing", needs=owners)
def rate_limited(state: State, symptom: Symptom) -> Iterable[Finding]:
    each, events = _pull(state, symptom)
    if each is None or not RATE.search(_words(each, events)):
        return
    workload = workload_of(state, symptom.at)
    yield Finding(
        "image/rate-limited",
        workload,
        "proved",
        f"the registry {registry(each.image)} refuses to serve {each.image} because too many pulls came from here",
        supports=tuple(told(one) for one in events[:2]) or (field(symptom.at.whole(), _words(each, events)),),
        mends=(_with_credentials(state, workload, each),),
        weight=0.4,
    )


def _with_credentials(state: State, workload: Ref, each: Container) -> Mend:
    """Pull with a Secret: an existing one of the namespace where there is one, else one to be made."""
    path = (*spec_path(workload.kind), "imagePullSecrets")
    owner = state.find(workload)
    have = [one.get("name", "") for one in (pod_spec(owner).get("imagePullSecrets") or ())] if owner else []
    offers = [name for name in _pull_secrets(state, workload.namespace) if name not in have]
    if offers:
        return Mend(
            f"Pull with the existing Secret {offers[0]}", (set_field(workload, *path, value=[{"name": offers[0]}]),)
        )
    return Mend(
        "Pull with credentials for the registry",
        (set_field(workload, *path, value=[{"name": "<PULL_SECRET>"}]),),
        unknown=(f"<PULL_SECRET>: a Secret of type kubernetes.io/dockerconfigjson with an account of {registry(each.image)} "
                 f"(kubectl create secret docker-registry); no other one exists in namespace {workload.namespace}",),
    )  # fmt: skip


@cause("image/pull-auth", "pull-failing", needs=together(owners, lists("Secret", "ServiceAccount")))
def pull_auth(state: State, symptom: Symptom) -> Iterable[Finding]:
    each, events = _pull(state, symptom)
    if each is None or symptom.note in ("InvalidImageName", "ErrImageNeverPull"):
        return
    words = _words(each, events)
    if not UNAUTHORIZED.search(words) or RATE.search(words):
        return
    workload = workload_of(state, symptom.at)
    names = [one.get("name", "") for one in ((state.find(symptom.at) or _none).spec.get("imagePullSecrets") or ())]
    using = f"with the Secret {', '.join(names)}" if names else "with no imagePullSecrets"
    yield Finding(
        "image/pull-auth",
        workload,
        "proved",
        f"the registry {registry(each.image)} refuses image {each.image} for want of valid credentials; the pod pulls {using}",
        supports=(*(told(one) for one in events[:2]), field(symptom.at.whole(), f"the pod pulls {using}")),
        mends=(_with_credentials(state, workload, each), *image_mends(state, workload, each.name, each.image)),
    )


_none = Object(ref("Pod", "", ""), {})


def _registry_trouble(
    state: State, symptom: Symptom, id: str, pattern: re.Pattern[str], says: str
) -> Iterator[Finding]:
    each, events = _pull(state, symptom)
    if each is None or symptom.note in ("InvalidImageName", "ErrImageNeverPull"):
        return
    words = _words(each, events)
    if not pattern.search(words) or RATE.search(words):
        return
    workload = workload_of(state, symptom.at)
    host = registry(each.image)
    yield Finding(
        id,
        workload,
        "proved",
        says.format(host=host, image=each.image),
        supports=(field(workload, f"container {each.name} has image {each.image}"), *(told(one) for one in events[:2])),
        mends=tuple(image_mends(state, workload, each.name, each.image)),
        weight=0.2,
    )


@cause("image/registry-dns", "pull-failing", needs=owners)
def registry_dns(state: State, symptom: Symptom) -> Iterable[Finding]:
    yield from _registry_trouble(state, symptom, "image/registry-dns", DNS,
                                 "the registry host {host} of image {image} does not resolve on the node")  # fmt: skip


@cause("image/registry-unreachable", "pull-failing", needs=owners)
def registry_unreachable(state: State, symptom: Symptom) -> Iterable[Finding]:
    each, events = _pull(state, symptom)
    words = _words(each, events) if each else ""
    if DNS.search(words) or UNAUTHORIZED.search(words) or (NOT_FOUND.search(words) and not UNREACHABLE.search(words)):
        return
    yield from _registry_trouble(state, symptom, "image/registry-unreachable", UNREACHABLE,
                                 "the node does not reach the registry {host} of image {image}")  # fmt: skip

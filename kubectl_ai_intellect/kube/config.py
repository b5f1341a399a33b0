"""kubectl's global flags and kubeconfig rules: which server, as whom, in which namespace.

Files are merged as kubectl does (the first file to name a thing wins, relative paths belong to their file);
credentials and TLS are then the official client's to load. Nothing here opens a socket, but a credential
plugin that the kubeconfig names is run, as kubectl would run it.
"""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from kubectl_ai_intellect.errors import ClusterError, UsageError
from kubectl_ai_intellect.kube import official

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
REQUEST_TIMEOUT = 30.0
"""Seconds one request may take where the user asks for no other time."""

Config = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Flags:
    """kubectl's global flags, with kubectl's meaning; empty means not given."""

    kubeconfig: str = ""
    context: str = ""
    cluster: str = ""
    user: str = ""
    namespace: str = ""
    all_namespaces: bool = False
    server: str = ""
    token: str = field(default="", repr=False)
    as_user: str = ""
    as_groups: tuple[str, ...] = ()
    as_uid: str = ""
    request_timeout: str = ""
    insecure_skip_tls_verify: bool = False
    certificate_authority: str = ""
    client_certificate: str = ""
    client_key: str = ""
    tls_server_name: str = ""


@dataclass(frozen=True, slots=True)
class Connection:
    """Where the API server is and how we show ourselves; `client` is the official client's Configuration."""

    client: Any = field(repr=False)
    server: str
    context: str
    namespace: str
    user: str = ""
    impersonate: tuple[tuple[str, str], ...] = ()
    request_timeout: float = REQUEST_TIMEOUT
    again: Callable[[], Connection] | None = field(default=None, repr=False)
    """Loads fresh credentials, where they can expire."""


def load(flags: Flags, environ: Mapping[str, str] | None = None) -> Connection:
    """The connection that kubectl would use for these flags."""
    env = os.environ if environ is None else environ
    if (flags.as_groups or flags.as_uid) and not flags.as_user:
        raise UsageError("--as-group and --as-uid need --as: say whom to act as")
    paths = kubeconfig_paths(flags, env)
    merged = merged_config(paths)
    if not merged["contexts"] and not merged["clusters"] and not flags.server:
        if flags.context:
            raise ClusterError(f'no context "{flags.context}": there is no kubeconfig in {_where(paths)}')
        return _in_cluster(flags, env, paths)
    name, context = _context(merged, flags, paths)
    cluster = _overridden_cluster(_chosen(merged, "cluster", context, bool(flags.server)), flags)
    user = _overridden_user(_chosen(merged, "user", context, False), flags)
    if not cluster.get("server"):
        raise ClusterError(f'cluster "{context.get("cluster", "")}" has no server address: set it with kubectl config')
    expires = any(key in user for key in ("exec", "auth-provider", "tokenFile"))
    return Connection(
        client=_client(cluster, _with_plugin(user, cluster)),
        server=cluster["server"],
        context=name or cluster["server"],
        namespace=flags.namespace or context.get("namespace") or "default",
        user=context.get("user") or "",
        impersonate=_impersonation(flags, user),
        request_timeout=seconds(flags.request_timeout),
        again=(lambda: load(flags, environ)) if expires else None,
    )


def kubeconfig_paths(flags: Flags, environ: Mapping[str, str]) -> list[Path]:
    """The kubeconfig files in order of precedence."""
    if flags.kubeconfig:
        return [_named_file(Path(flags.kubeconfig).expanduser(), "--kubeconfig")]
    listed = [entry for entry in environ.get("KUBECONFIG", "").split(os.pathsep) if entry]
    if listed:
        return [Path(entry).expanduser() for entry in listed]
    return [Path(environ.get("HOME") or Path.home()) / ".kube" / "config"]


def _named_file(path: Path, flag: str) -> Path:
    if not path.exists() or path.is_dir():
        raise ClusterError(f"{flag}: there is no file {path}; check the path")
    return path


def merged_config(paths: list[Path]) -> Config:
    """One config out of several files; for each name, the first file that has it wins."""
    merged: Config = {"clusters": {}, "users": {}, "contexts": {}, "current-context": ""}
    for path in paths:
        document = _document(path)
        for kind in ("clusters", "users", "contexts"):
            for entry in document.get(kind) or ():
                body = _absolute(entry.get(kind[:-1]) or {}, path.parent)
                merged[kind].setdefault(str(entry.get("name", "")), body)
        merged["current-context"] = merged["current-context"] or document.get("current-context") or ""
    return merged


def _document(path: Path) -> Config:
    import yaml

    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        raise ClusterError(f"cannot read the kubeconfig {path}: {reason}") from None
    try:
        loaded = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f" (line {mark.line + 1})" if mark else ""
        raise ClusterError(f"the kubeconfig {path} is not valid YAML{line}: mend it or choose another") from None
    if loaded is None:
        return {}
    lists = ("clusters", "users", "contexts")
    shaped = isinstance(loaded, dict) and all(
        isinstance(loaded.get(key) or [], list) and all(isinstance(e, dict) for e in loaded.get(key) or [])
        for key in lists
    )
    if not shaped:
        raise ClusterError(f"{path} is not a kubeconfig: choose another with --kubeconfig or KUBECONFIG")
    return loaded


_FILES = ("certificate-authority", "client-certificate", "client-key", "tokenFile")


def _absolute(body: Any, base: Path) -> Config:
    """The entry with its relative file names resolved against the file that holds it."""
    entry: Config = deepcopy(body) if isinstance(body, dict) else {}
    for key in _FILES:
        if entry.get(key):
            entry[key] = os.path.normpath(base.absolute() / entry[key])
    plugin = entry.get("exec")
    if isinstance(plugin, dict):
        command = str(plugin.get("command") or "")
        if os.sep in command:
            plugin["command"] = os.path.normpath(base.absolute() / command)
    return entry


def _context(merged: Config, flags: Flags, paths: list[Path]) -> tuple[str, Config]:
    name = flags.context or merged["current-context"]
    contexts: Config = merged["contexts"]
    if name and name not in contexts:
        said = "--context" if flags.context else "current-context"
        raise ClusterError(f'{said}: no context "{name}" in {_where(paths)}; {_near(name, contexts)}')
    if not name and not (flags.cluster or flags.server):
        choices = ", ".join(sorted(contexts)[:5]) or "none"
        raise ClusterError(
            f"no current context in {_where(paths)}: set one with kubectl config use-context, or --context ({choices})"
        )
    context = dict(contexts.get(name) or {})
    if flags.cluster:
        context["cluster"] = flags.cluster
    if flags.user:
        context["user"] = flags.user
    return name, context


def _near(name: str, known: Mapping[str, Any]) -> str:
    close = get_close_matches(name, list(known), n=3, cutoff=0.5)
    if close:
        return f"did you mean {' or '.join(close)}?"
    return f"there are {', '.join(sorted(known)[:5])}" if known else "it has none"


def _where(paths: list[Path]) -> str:
    return ", ".join(str(path) for path in paths)


def _chosen(merged: Config, kind: str, context: Config, optional: bool) -> Config:
    """The cluster or user that the context names."""
    name = context.get(kind) or ""
    known: Config = merged[f"{kind}s"]
    if name in known:
        return dict(known[name])
    if not name and (kind == "user" or optional):
        return {}
    raise ClusterError(f'the kubeconfig has no {kind} "{name}"; {_near(name, known)}')


def _overridden_cluster(cluster: Config, flags: Flags) -> Config:
    if flags.certificate_authority:
        path = _named_file(Path(flags.certificate_authority), "--certificate-authority")
        cluster["certificate-authority"] = str(path.absolute())
        cluster.pop("certificate-authority-data", None)
    if flags.insecure_skip_tls_verify:
        cluster["insecure-skip-tls-verify"] = True
        cluster.pop("certificate-authority", None)
        cluster.pop("certificate-authority-data", None)
    if flags.tls_server_name:
        cluster["tls-server-name"] = flags.tls_server_name
    server = str(flags.server or cluster.get("server") or "")
    if server and "://" not in server:
        secure = any(key.startswith(("certificate-authority", "insecure", "tls-")) for key in cluster)
        server = f"{'https' if secure else 'http'}://{server}"
    cluster["server"] = server.rstrip("/")
    return cluster


def _overridden_user(user: Config, flags: Flags) -> Config:
    if flags.token:
        for other in ("exec", "auth-provider", "tokenFile", "username", "password"):
            user.pop(other, None)
        user["token"] = flags.token
    for key, value in (("client-certificate", flags.client_certificate), ("client-key", flags.client_key)):
        if value:
            user[key] = str(_named_file(Path(value), f"--{key}").absolute())
            user.pop(f"{key}-data", None)
    if user.get("tokenFile"):
        user.pop("token", None)
    return user


def _with_plugin(user: Config, cluster: Config) -> Config:
    """The user with what its credential plugin hands out, where it has one."""
    plugin = user.get("exec")
    if not isinstance(plugin, dict) or user.get("token"):
        return user
    official.load()
    from kubernetes.config.exec_provider import ExecProvider
    from kubernetes.config.kube_config import ConfigNode

    command = plugin.get("command", "")
    try:
        handed = ExecProvider(ConfigNode("exec", plugin), None, ConfigNode("cluster", cluster)).run()
    except FileNotFoundError:
        hint = _one_line(str(plugin.get("installHint") or "install it or log in another way"))
        raise ClusterError(f"the credential plugin {command} is not installed: {hint}") from None
    except Exception as error:  # the client raises whatever went wrong, and prints to a terminal itself
        said = "" if isinstance(error, AttributeError) else f" ({_one_line(str(error))[:200]})"
        raise ClusterError(f"the credential plugin {command} failed{said}: log in again and retry") from None
    found = {key: value for key, value in user.items() if key != "exec"}
    if handed.get("token"):
        found["token"] = handed["token"]
    for key, name in (("client-certificate", "clientCertificateData"), ("client-key", "clientKeyData")):
        if handed.get(name):
            found[f"{key}-data"] = base64.b64encode(handed[name].encode()).decode()
    if len(found) == len(user) - 1:
        raise ClusterError(f"the credential plugin {command} gave no token or certificate: log in again")
    return found


def _one_line(text: str) -> str:
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def _client(cluster: Config, user: Config) -> Any:
    """The official client's configuration for one cluster and user."""
    official.load()
    from kubernetes.client import Configuration
    from kubernetes.config.config_exception import ConfigException
    from kubernetes.config.kube_config import KubeConfigLoader

    single = {
        "current-context": "chosen",
        "contexts": [{"name": "chosen", "context": {"cluster": "chosen", "user": "chosen"}}],
        "clusters": [{"name": "chosen", "cluster": cluster}],
        "users": [{"name": "chosen", "user": user}],
    }
    configuration = Configuration()
    try:
        KubeConfigLoader(single, config_base_path="").load_and_set(configuration)
    except (ConfigException, OSError, ValueError) as error:
        raise ClusterError(f"credentials of the kubeconfig do not load: {_one_line(str(error))}") from None
    return _tuned(configuration)


def _tuned(configuration: Any) -> Any:
    configuration.retries = False  # ours to do: they respect Retry-After and the deadline
    configuration.connection_pool_maxsize = 8
    return configuration


def _impersonation(flags: Flags, user: Config) -> tuple[tuple[str, str], ...]:
    """Impersonation headers: the flags', else the kubeconfig user's."""
    if flags.as_user:
        name, groups, uid, extra = flags.as_user, flags.as_groups, flags.as_uid, {}
    else:
        name, groups = str(user.get("as") or ""), tuple(user.get("as-groups") or ())
        uid, extra = str(user.get("as-uid") or ""), user.get("as-user-extra") or {}
    if not name:
        return ()
    headers = [("Impersonate-User", name), *(("Impersonate-Group", str(group)) for group in groups)]
    if uid:
        headers.append(("Impersonate-Uid", uid))
    headers += [(f"Impersonate-Extra-{key}", str(value)) for key, values in extra.items() for value in values]
    if any(not character.isprintable() for _, value in headers for character in value):
        raise UsageError("--as, --as-group and --as-uid take printable names")
    return tuple(headers)


def _in_cluster(flags: Flags, environ: Mapping[str, str], paths: list[Path]) -> Connection:
    """The service account of the pod we run in, as kubectl takes it where there is no kubeconfig."""
    if not environ.get("KUBERNETES_SERVICE_HOST") or not (SERVICE_ACCOUNT / "token").is_file():
        raise ClusterError(
            f"no kubeconfig: {_where(paths)} is missing or empty; "
            "set KUBECONFIG or --kubeconfig to the file of your cluster"
        )
    official.load()
    from kubernetes.client import Configuration
    from kubernetes.config import ConfigException, load_incluster_config

    configuration = Configuration()
    try:
        load_incluster_config(client_configuration=configuration)
    except ConfigException as error:
        raise ClusterError(f"the pod's service account cannot be used: {_one_line(str(error))}") from None
    namespace = SERVICE_ACCOUNT / "namespace"
    own = namespace.read_text(encoding="utf-8").strip() if namespace.is_file() else ""
    return Connection(
        client=_tuned(configuration),
        server=configuration.host,
        context="in-cluster",
        namespace=flags.namespace or own or "default",
        impersonate=_impersonation(flags, {}),
        request_timeout=seconds(flags.request_timeout),
    )


_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


def seconds(text: str) -> float:
    """A kubectl duration (`30`, `1m30s`) in seconds; empty and 0 mean our own limit."""
    parts = re.findall(r"(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)", text)
    if re.fullmatch(r"\d+(\.\d+)?", text):
        found = float(text)
    elif parts and "".join(number + unit for number, unit in parts) == text:
        found = sum(float(number) * _UNITS[unit] for number, unit in parts)
    elif not text:
        found = 0.0
    else:
        raise UsageError(f"--request-timeout={text}: write a time as 30, 30s or 1m30s")
    return found or REQUEST_TIMEOUT


__all__ = ["Connection", "Flags", "kubeconfig_paths", "load", "merged_config", "seconds"]

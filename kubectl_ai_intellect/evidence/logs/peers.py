"""The host and port that a failure names, in the spellings of many clients."""

from __future__ import annotations

import re

from kubectl_ai_intellect.evidence.logs.model import Peer

__all__ = ["peer_in", "url_host"]

_V6 = r"\[[0-9a-fA-F:.%\w]{2,60}\]"
_IP = r"\d{1,3}(?:\.\d{1,3}){3}"
_NAME = r"[A-Za-z0-9_](?:[\w\-]{0,62})(?:\.[\w\-]{1,63}){0,10}"
_HOST = rf"(?P<host>{_V6}|{_NAME})"
_PORT = r"(?P<port>\d{1,5})"

# Most telling first. A source address (before "->") is never the peer.
_FORMS: tuple[re.Pattern[str], ...] = tuple(
    re.compile(form, re.IGNORECASE)
    for form in (
        rf"->\s?{_HOST}:{_PORT}\b",
        rf"dial (?:tcp|udp)[46]?:? {_HOST}:{_PORT}\b",
        rf"upstream: \"(?P<scheme>\w+)://{_HOST}(?::{_PORT})?[/\"]",
        rf"connect E[A-Z]+ (?P<host>::1|::ffff:{_IP}|{_V6}|{_NAME}):{_PORT}\b",
        rf"HTTPS?ConnectionPool\(host='(?P<host>[^']+)', port={_PORT}\)",
        rf"server at \"(?P<host>[^\"]+)\"(?: \([^)]*\))?, port {_PORT}",
        rf"host \"(?P<host>[^\"]+)\"(?: \([^)]*\))?[^\n]{{0,60}}port {_PORT}",
        rf"(?:server|host) (?:on|at)? ?'(?P<host>[\w.\-]+)(?::{_PORT})?'",
        rf"jdbc:(?:\w+:){{0,3}}(?P<scheme>)(?://|@)(?:\w+:\w+@)?{_HOST}(?::{_PORT})?",
        rf"\b(?:to|host|on|at|reach) {_HOST}(?: \({_IP}\))?,? port:? {_PORT}\b",
        rf"(?:connect|connecting|connection) to (?:host |server |the )?{_HOST}:{_PORT}\b(?!/)",
        rf"Connect call failed \('(?P<host>[^']+)', {_PORT}",
        rf"\bConnect to (?:https?://)?{_HOST}:{_PORT}",
        rf"(?:host|hostname|server|address|addr|remote|peer|node|broker)[\"']?\s?[:=]\s?[\"']?{_HOST}[\"']?,? \"?'?(?:port[\"']?)\s?[:=]\s?[\"']?{_PORT}\b",
        rf"(?<![\w.\-]){_NAME}/(?P<host>{_IP}):{_PORT}\b",
        rf"/(?P<host>{_IP}):{_PORT}\b",
        r"\((?P<host>[A-Za-z][\w.\-]{0,200}):(?P<port>\d{2,5})\)",
        r"(?<![\w.:/\-])(?P<host>" + _IP + r"):(?P<port>\d{2,5})\b(?!->|\]|:)",
        r"(?P<host>" + _V6 + r"):(?P<port>\d{2,5})\b(?!->)",
        rf"\bremote host \((?P<host>{_IP}|{_V6})\)",
    )
)
_URL = re.compile(
    rf"(?<![\w+.\-])(?P<scheme>[A-Za-z][A-Za-z0-9+.\-]{{1,30}})://(?:[^\s/@\"'<>]{{0,256}}@)?(?P<host>{_V6}|{_NAME})(?::{_PORT})?(?=[/?#\s\"'`,;:)\]}}>|\\]|$)"
)
_BARE = re.compile(rf"(?<![\w./\-:]){_HOST}:(?P<port>\d{{2,5}})(?![\w\-])(?!\.\d)(?!:\d)")
_SOURCE_FILE = re.compile(
    r"\.(?:go|py|pyc|js|ts|jsx|tsx|mjs|cjs|rb|erb|java|kt|scala|rs|cs|fs|php|c|cc|cpp|cxx|h|hpp|ex|exs|erl|lua|pl|pm|sql|ya?ml|json"
    r"|toml|conf|cfg|ini|sh|swift|clj|html|css|xml|properties|vue|txt|log)$",
    re.IGNORECASE,
)
_NO_HOST = frozenset(
    [
        "line",
        "code",
        "errno",
        "error",
        "status",
        "port",
        "pid",
        "tid",
        "code:",
        "id",
        "exit",
        "signal",
        "http",
        "https",
        "tcp",
        "udp",
        "info",
        "warn",
        "warning",
        "fatal",
        "debug",
        "level",
        "offset",
        "row",
        "column",
        "col",
        "char",
        "position",
        "step",
        "attempt",
        "retry",
        "count",
        "size",
        "length",
        "version",
        "at",
        "took",
        "lwp",
        "thread",
        "worker",
        "rc",
        "timeout",
        "ms",
        "time",
        "date",
        "syscall",
        "sqlstate",
        "reason",
        "sha256",
        "index",
        "epoch",
        "partition",
        "shard",
        "user",
        "uid",
        "gid",
        "node-1",
        "date:",
    ]
)
_DOCS = re.compile(
    r"(?:^|\.)(?:errors\.pydantic\.dev|github\.com|sqlalche\.me|docs\.[\w.\-]+|aka\.ms|go\.microsoft\.com|pris\.ly|nodejs\.org|spring\.io"
    r"|slf4j\.org|npmjs\.com|stackoverflow\.com|readthedocs\.io|www\.rust-lang\.org|bugs\.[\w.\-]+|hub\.docker\.com|kubernetes\.io|example\.invalid)$",
    re.IGNORECASE,
)
_SCHEMES = {
    "postgresql": "postgres", "postgres": "postgres", "pgsql": "postgres", "psql": "postgres", "rediss": "redis",
    "mongodb+srv": "mongodb", "amqps": "amqp", "mysqlx": "mysql", "mysql2": "mysql", "mariadb": "mysql",
    "grpcs": "grpc", "jdbc": "", "wss": "ws", "file": "", "unix": "", "postgresql+psycopg2": "postgres",
    "postgresql+asyncpg": "postgres",
}  # fmt: skip
_WORDS: tuple[tuple[str, tuple[str, ...]], ...] = (
    (
        "postgres",
        (
            "postgres",
            "psycopg",
            "pgx",
            "pq:",
            "npgsql",
            "psqlexception",
            "asyncpg",
            "libpq",
            "pgpool",
            "sqlstate 0800",
            "pgsql",
        ),
    ),
    ("mysql", ("mysql", "mariadb", "hy000")),
    ("redis", ("redis", "jedis", "lettuce", "sidekiq", "valkey")),
    ("mongodb", ("mongo",)),
    ("amqp", ("amqp", "rabbit", "pika.", "bunny::")),
    ("kafka", ("kafka", "kafkajs", "sarama", "bootstrap broker")),
    ("elasticsearch", ("elasticsearch", "opensearch")),
    ("etcd", ("etcd",)),
    ("nats", ("nats:", "nats ")),
    ("memcached", ("memcache",)),
    ("cassandra", ("cassandra", "cqlsh")),
    ("grpc", ("rpc error", "grpc", "statuscode.unavailable")),
)
_PORTS = {
    5432: "postgres", 3306: "mysql", 6379: "redis", 27017: "mongodb", 5672: "amqp", 5671: "amqp", 9092: "kafka",
    9200: "elasticsearch", 2379: "etcd", 4222: "nats", 11211: "memcached", 9042: "cassandra", 443: "https", 80: "http",
}  # fmt: skip


def peer_in(text: str, before: int = -1) -> Peer | None:
    """The peer that the text names; of several plain `host:port` words, the last one before `before`."""
    for form in _FORMS:
        found = form.search(text)
        if found is not None and _is_host(found["host"]):
            parts = found.groupdict()
            return made(parts["host"], parts.get("port"), parts.get("scheme") or _jdbc(found.group()), text)
    url = _last_url(text)
    if url is not None:
        return made(url["host"], url["port"], url["scheme"], text)
    bare = [m for m in _BARE.finditer(text) if _is_host(m["host"]) and 0 < int(m["port"]) < 65536]
    if not bare:
        return None
    near = [m for m in bare if before < 0 or m.end() <= before] or bare[:1]
    return made(near[-1]["host"], near[-1]["port"], "", text)


def url_host(text: str) -> str:
    """The host of the last URL that is no link to documentation."""
    found = _last_url(text)
    return found["host"] if found is not None else ""


def made(host: str, port: str | int | None, scheme: str, text: str) -> Peer | None:
    """A peer in canonical form; None for a port that cannot be."""
    number = int(port) if port not in (None, "") else None
    if number is not None and not 0 < number < 65536:
        return None
    scheme = scheme.lower()
    scheme = _SCHEMES.get(scheme, scheme)
    return Peer(host.strip("[]").rstrip(".").removeprefix("::ffff:"), number, scheme or _scheme(text, number))


def _last_url(text: str) -> re.Match[str] | None:
    last = None
    for found in _URL.finditer(text):
        if not _DOCS.search(found["host"]) and found["scheme"].lower() not in {
            "file",
            "unix",
            "classpath",
            "arn",
        }:
            last = found
    return last


def _is_host(host: str) -> bool:
    if host.startswith("[") or ":" in host:
        return True
    if _SOURCE_FILE.search(host) or host.lower() in _NO_HOST:
        return False
    return any(c.isalpha() for c in host) or re.fullmatch(_IP, host) is not None


def _jdbc(found: str) -> str:
    kind = re.match(r"jdbc:(\w+)", found, re.IGNORECASE)
    return kind.group(1) if kind is not None else ""


def _scheme(text: str, port: int | None) -> str:
    low = text.lower()
    for scheme, words in _WORDS:
        if any(word in low for word in words):
            return scheme
    return _PORTS.get(port or 0, "")

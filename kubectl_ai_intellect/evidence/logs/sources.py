"""Which language or program speaks: by the shape of its traces and the words only it uses."""

from __future__ import annotations

import re

__all__ = ["source_of"]

_SOURCES: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (source, re.compile(pattern, re.MULTILINE))
    for source, pattern in (
        ("nginx", r"\[(?:emerg|crit|alert|error|warn)\] \d+#\d+|nginx: \[|while connecting to upstream"),
        ("haproxy", r"haproxy|\[(?:WARNING|ALERT|NOTICE)\]\s+\(\d+\) : "),
        ("envoy", r"\[(?:envoy|source/)[^\]\n]{0,100}\]|upstream connect error or disconnect"),
        ("coredns", r"plugin/\w+: |\.:53|CoreDNS"),
        (
            "python",
            r"Traceback \(most recent|^\s+File \"[^\"]+\", line \d+|\[Errno -?\d+\]|psycopg|(?:^|[\s.])(?:\w+\.)+\w+Error: |django\.|pydantic|gunicorn|uvicorn|asyncio|urllib3|^\w+(?:Error|Exception): .*\(most recent",
        ),
        ("rust", r"panicked at |\(os error \d+\)|Os \{ code: |RUST_BACKTRACE|hyper::|tokio"),
        (
            "dotnet",
            r"Unhandled exception\. |System\.[\w.]+Exception|Microsoft\.[\w.]+|--- End of inner exception|Npgsql|^\s+at [\w.<>`]+\(.*\) in .*:line \d+",
        ),
        (
            "java",
            r"^\s+at [\w.$/@]+\([\w$]+\.(?:java|kt|scala|groovy)|^\s+at [\w.$]+\((?:Native Method|Unknown Source)|Caused by: [\w.$]+|Exception in thread \"|(?:java|javax|org|com|io)\.[\w.]+\.[A-Z]\w*(?:Exception|Error)\b|jdbc:|HikariPool",
        ),
        (
            "php",
            r"PHP (?:Fatal|Parse|Warning)|Stack trace:\n#0|SQLSTATE\[|\.php(?::| on line )\d+|artisan|Illuminate\\",
        ),
        (
            "ruby",
            r"\.rb:\d+:in [`']|\(\w+(?:::\w+)*Error\)$|ActiveRecord::|bundler|PG::\w+|Errno::E[A-Z]+|Mysql2::",
        ),
        (
            "node",
            r"^\s+at .*\((?:file:|node:|/)[^)\n]*:\d+:\d+\)|^\s+at (?:async )?(?:file:|node:|/).*:\d+:\d+$|node:internal|getaddrinfo E[A-Z_]+ |connect E[A-Z]+ |code: '[A-Z_]+'|UnhandledPromiseRejection|FATAL ERROR: .*(?:JavaScript|heap)|Node\.js v\d|npm ERR|listen EADDRINUSE",
        ),
        ("elixir", r"\*\* \(\w|\.exs?:\d+: |\(\w+ \d+\.\d+[\w.\-]*\) "),
        ("erlang", r"\{error,|init terminating in do_boot|econnrefused|=CRASH REPORT"),
        (
            "go",
            r"goroutine \d+ \[|^panic: |dial (?:tcp|udp)|\.go:\d+|lookup \S+(?: on \S+)?: |^[IWEF]\d{4} \d\d:|x509: |strconv\.|pq: |rpc error: code = |level=\w+ .*msg=",
        ),
        ("redis", r"^\d+:[MSCX] \d\d \w{3} \d{4}|(?:WRONGPASS|NOAUTH|MISCONF|READONLY|LOADING) "),
        ("mysql", r"\[MY-\d+\]|\[ERROR\] \[|ERROR \d{4} \([0-9A-Z]{5}\)|mysqld"),
        ("postgres", r"\b(?:FATAL|PANIC|LOG|ERROR|HINT|DETAIL):  \S|initdb:|postgres:"),
        ("mongodb", r"\"c\":\"(?:NETWORK|STORAGE|CONTROL)|Mongo\w*Error"),
        ("perl", r" at \S+\.p[lm] line \d+|@INC"),
        ("curl", r"curl: \(\d+\)"),
        ("shell", r"(?:^|/)(?:ba|da|a|z)?sh: |: line \d+: |: \d+: \S+: not found"),
    )
)


def source_of(text: str) -> str:
    """The language or program of a record, empty when nothing gives it away."""
    text = text[:6000]
    return next((source for source, pattern in _SOURCES if pattern.search(text)), "")

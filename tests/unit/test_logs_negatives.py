"""Lines with words of failure that report none: counters, settings, help, other people's requests, success."""

from __future__ import annotations

import json

import pytest

from kubectl_ai_intellect.evidence.logs import digest

GOOD = [
    "INFO  build finished with 0 errors, 0 warnings",
    'level=info msg="scrape done" errors=0 failed=0',
    "error_rate=0 timeout_rate=0.0 p99=12ms",
    "2024-05-01T10:00:00Z INFO no errors found",
    '10.244.0.1 - - [01/May/2024:10:00:00 +0000] "GET /errors/connection-refused HTTP/1.1" 200 512 "-" "curl/8"',
    '10.244.0.1 - - [01/May/2024:10:00:00 +0000] "GET /favicon.ico HTTP/1.1" 404 153 "-" "Mozilla/5.0"',
    '10.244.0.1 - - [01/May/2024:10:00:00 +0000] "GET /admin HTTP/1.1" 403 153 "-" "Mozilla/5.0"',
    '10.244.0.1 - - [01/May/2024:10:00:00 +0000] "POST /login HTTP/1.1" 401 153 "-" "Mozilla/5.0"',
    '[GIN] 2024/05/01 - 10:00:00 | 401 |   1.2ms |  10.0.0.1 | GET "/api/me"',
    '2024/05/01 10:00:00 [error] 31#31: *2 open() "/usr/share/nginx/html/favicon.ico" failed (2: No such file or directory), client: 10.244.0.1, server: localhost, request: "GET /favicon.ico HTTP/1.1", host: "x"',
    "INFO retry policy: retry on connection refused, connection reset, timeout",
    "INFO  DeadlockDetector started",
    "DEBUG checking for deadlocks",
    "INFO Registered exception handler for OutOfMemoryError",
    "-XX:+HeapDumpOnOutOfMemoryError -XX:+ExitOnOutOfMemoryError",
    "NOTE: Picked up JAVA_TOOL_OPTIONS: -XX:+ExitOnOutOfMemoryError",
    "config file not found, using defaults",
    "INFO .env file not found, skipping",
    "warn: optional file /etc/app/extra.yaml not found, ignoring",
    "INFO LOG_LEVEL not set, defaulting to info",
    "WARN CACHE_SIZE is not set, using default 100",
    'level=info msg="connection timeout set to 30s"',
    "INFO connect_timeout=5s read_timeout=10s",
    "connectionTimeout: 30000",
    "INFO readTimeout configured to 5000 ms",
    "INFO Server listening on port 8080",
    "INFO Started Application in 3.2 seconds (process running for 3.9)",
    "LOG:  database system is ready to accept connections",
    'LOG:  listening on IPv4 address "0.0.0.0", port 5432',
    "1:M 01 May 2024 10:00:00.123 * Ready to accept connections tcp",
    "Connected to redis:6379",
    "INFO Successfully connected to database after 3 attempts",
    "INFO TLS certificate will expire in 80 days",
    "INFO certificate valid until 2030-01-01",
    "DEBUG x509 verification enabled",
    "INFO authentication enabled",
    "INFO password authentication enabled for user admin",
    "INFO token refreshed",
    "I0501 10:00:00.123456       1 leaderelection.go:258] successfully acquired lease kube-system/x",
    "I0501 10:00:00.123456       1 reflector.go:351] Caches populated for *v1.Secret from k8s.io/client-go",
    'INFO user searched for "permission denied on /data"',
    'INFO received question "why do I get connection refused to redis:6379?"',
    "INFO test case 'handles ECONNREFUSED' passed",
    "INFO failed=0 ok=12 skipped=3",
    "PLAY RECAP ok=3 changed=1 unreachable=0 failed=0",
    "Tests run: 12, Failures: 0, Errors: 0, Skipped: 0",
    "INFO circuit breaker enabled for upstream errors 502 503 504",
    "INFO rate limit set to 100 requests per second",
    "INFO rate limiter configured: limit=429",
    "INFO processed 503 records",
    "INFO 502 rows imported",
    "INFO order 1045 shipped",
    "INFO loaded 28000 products",
    "INFO quota refreshed: used 10 of 100",
    "INFO memory limit 512Mi, heap max 384Mi",
    "INFO GC (Allocation Failure) 12M->4M(64M), 0.003 secs",
    "[GC (Allocation Failure) [PSYoungGen: 33280K->5118K(38400K)] 33280K->7000K(125952K), 0.0081 secs]",
    "INFO opened /var/lib/app/errors.log for writing",
    "INFO Loading class com.shop.errors.ConnectionRefusedHandler",
    "INFO If you see 'connection refused', check that the database is up",
    "usage: app [--help] [--port PORT] [--timeout SECONDS]",
    "INFO read-only mode disabled",
    "INFO mounting /data read-write",
    "INFO schema is up to date, no migrations necessary",
    "INFO 0 pending migrations",
    "INFO worker 3 exited with code 0",
    "INFO feature panic-button enabled",
    "INFO assertion consumer service url https://sso/acs",
    "INFO resolved db to 10.96.0.4",
    "INFO env DATABASE_URL loaded",
    "DATABASE_PASSWORD=***",
    "INFO Using config file /etc/app/config.yaml",
    "INFO config reloaded without errors",
    'DETAIL:  Key (id)=(3) is still referenced from table "x".',
    "hello world",
    "",
    '{"level":"info","msg":"request completed","status":200,"error":null,"duration_ms":3}',
    '{"level":30,"time":1714557600000,"msg":"request completed","res":{"statusCode":404}}',
    '{"severity":"INFO","message":"no failures in batch","errors":0}',
    '{"level":"debug","msg":"retry settings","retryOn":"ECONNREFUSED,ETIMEDOUT"}',
]


@pytest.mark.parametrize("line", GOOD)
def test_good_line_gives_no_hit(line: str) -> None:
    found = digest([line.encode() + b"\n"]).hits
    assert [(h.kind, h.line) for h in found if h.kind not in ("shutdown", "slow")] == []


def test_table_is_large() -> None:
    assert len(set(GOOD)) >= 60


def test_connection_that_came_up_later_is_lowered() -> None:
    log = (
        b"2024-05-01T10:00:00Z WARN dial tcp 10.96.0.4:5432: connect: connection refused, retrying in 1s\n"
        b"2024-05-01T10:00:01Z WARN dial tcp 10.96.0.4:5432: connect: connection refused, retrying in 2s\n"
        b"2024-05-01T10:00:03Z INFO connected to postgres at 10.96.0.4:5432\n"
        b"2024-05-01T10:00:04Z INFO listening on :8080\n"
        b"2024-05-01T10:00:05Z ERROR open /data/x: permission denied\n"
    )
    first, second = digest([log]).hits
    assert (first.kind, first.recovered) == ("permission-denied", False)
    assert (second.kind, second.recovered, second.count) == ("connection-refused", True, 2)


def test_success_of_another_peer_does_not_heal() -> None:
    log = (
        b'ERROR psycopg2.OperationalError: connection to server at "pg" (10.0.0.3), port 5432 failed: Connection refused\n'
        b"INFO connected to redis:6379\n"
    )
    (hit,) = digest([log]).hits
    assert not hit.recovered


def test_failure_after_success_stands() -> None:
    log = b"INFO connected to redis:6379\nERROR read tcp 10.1.1.1:3->10.96.0.4:6379: connection reset by peer\n"
    (hit,) = digest([log]).hits
    assert (hit.kind, hit.recovered) == ("connection-reset", False)


def test_information_is_not_fatal_even_in_last_words() -> None:
    log = json.dumps({"level": "info", "msg": "upstream call: dial tcp 10.0.0.1:80: connect: connection refused"})
    hits = digest([log.encode()], exit_code=1).hits
    assert all(not hit.fatal for hit in hits)


def test_running_container_has_no_last_words() -> None:
    assert not digest([b"WARN open /x/y: permission denied\n"]).hits[0].fatal
    assert digest([b"WARN open /x/y: permission denied\n"], exit_code=1).hits[0].fatal

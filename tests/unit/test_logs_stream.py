"""Logs of any size and content are survived in bounded memory, at a useful speed."""

from __future__ import annotations

import os
import random
import time
import tracemalloc
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from kubectl_ai_intellect.evidence.logs import LogDigest, digest

MEBIBYTE = 1024 * 1024
STAMP = "2024-05-01T10:%02d:%02d.%06dZ"


def repetitive(total: int) -> Iterator[bytes]:
    """A service's log: requests, a slow retry loop, now and then a trace."""
    made = number = 0
    while made < total:
        lines: list[str] = []
        for _ in range(500):
            number += 1
            stamp = STAMP % (number // 60 % 60, number % 60, number % 1000000)
            lines.append(
                f"{stamp} INFO http request id={number} method=GET path=/api/v1/items/{number * 7} status=200 took={number % 90}ms"
            )
            if number % 10 == 0:
                lines.append(
                    f"{stamp} WARN dial tcp 10.96.0.{number % 3}:5432: connect: connection refused, attempt {number}"
                )
            if number % 100 == 0:
                lines.append(f"{stamp} ERROR handler failed")
                lines.append("Traceback (most recent call last):")
                lines.append(f'  File "/app/x.py", line {number % 300}, in handle')
                lines.append("    return self.store[key]")
                lines.append("ValueError: bad item")
        chunk = ("\n".join(lines) + "\n").encode()
        made += len(chunk)
        yield chunk


def peak_of(chunks: Iterator[bytes]) -> tuple[LogDigest, int]:
    tracemalloc.start()
    try:
        result = digest(chunks, exit_code=1)
        return result, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_hundred_megabytes_in_bounded_memory_and_time() -> None:
    chunks = list(repetitive(20 * MEBIBYTE)) * 5
    began = time.process_time()
    result = digest(chunks, exit_code=1)
    took = time.process_time() - began
    assert result.bytes >= 100 * MEBIBYTE
    refused = result.of("connection-refused")
    assert {hit.peer.host for hit in refused if hit.peer} == {"10.96.0.0", "10.96.0.1", "10.96.0.2"}
    refusals = sum(chunk.count(b"connection refused") for chunk in chunks)
    assert sum(hit.count for hit in refused) == refusals
    assert sum(t.count for t in result.templates if "connection refused" in t.text) == refusals
    assert len(result.templates) <= 30
    print(f"{100 / took:.0f} MiB/s")
    # 65 MiB/s were measured; a busy machine is not a failure.
    assert took < 20

    _, peak = peak_of(repetitive(12 * MEBIBYTE))
    _, peak_of_double = peak_of(repetitive(24 * MEBIBYTE))
    assert peak_of_double < 12 * MEBIBYTE
    assert peak_of_double < peak * 1.25


def test_endless_single_line() -> None:
    def chunks() -> Iterator[bytes]:
        for _ in range(40):
            yield b"x" * MEBIBYTE
        yield b"\nERROR open /data/x: permission denied\n"

    result, peak = peak_of(chunks())
    assert result.truncated
    assert peak < 12 * MEBIBYTE
    assert result.lines == 2
    assert [h.kind for h in result.hits] == ["permission-denied"]
    assert result.hits[0].number == 2


def test_endless_progress_bar() -> None:
    bar = b"".join(b"\rdownloading %d%%" % n for n in range(200_000))
    result, peak = peak_of(iter([bar, b"\rfailed: dial tcp 10.0.0.1:80: i/o timeout\r\ndone\n"]))
    assert peak < 12 * MEBIBYTE
    assert [h.kind for h in result.hits] == ["connection-timeout"]
    assert result.lines == 2
    assert any(t.count > 100_000 for t in result.templates)


def test_stream_that_never_ends_is_left_alone_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kubectl_ai_intellect.evidence.logs.lines._BYTES_LIMIT", 5 * MEBIBYTE)

    def forever() -> Iterator[bytes]:
        while True:
            yield b"tick 1\n" * 10_000

    result = digest(forever())
    assert result.truncated
    assert result.bytes < 6 * MEBIBYTE


def test_binary() -> None:
    noise = random.Random(7).randbytes(3 * MEBIBYTE)
    result, peak = peak_of(iter([noise, b"\nfatal error: runtime: cannot allocate memory\n"]))
    assert result.binary
    assert peak < 24 * MEBIBYTE
    assert result.hits[0].kind == "out-of-memory"
    assert all(c.isprintable() or c == "\t" for line in result.last_lines for c in line)


def test_unique_lines_stay_bounded() -> None:
    source = random.Random(11)

    def chunks() -> Iterator[bytes]:
        for _ in range(40):
            yield b"".join(
                b"error %s failed: %s\n"
                % (
                    source.randbytes(20).hex().encode(),
                    os.urandom(12).hex().encode().translate(bytes.maketrans(b"0123456789", b"ghijklmnop")),
                )
                for _ in range(1000)
            )
        yield b"dial tcp: lookup vault on 10.96.0.10:53: no such host\n"

    result, peak = peak_of(chunks())
    assert peak < 24 * MEBIBYTE
    assert result.lines == 40_001
    assert result.hits[0].kind == "dns-failure"


@pytest.mark.parametrize("chunks", [[], [b""], [b"\n"], [b"\n\n\r\n"], [b"", b"", b"\n"], [b"   \n"]])
def test_empty(chunks: list[bytes]) -> None:
    result = digest(chunks)
    assert result.empty
    assert not result.binary
    assert result.hits == ()
    assert result.trace == ""


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 1000])
def test_chunks_of_any_size_give_the_same(size: int) -> None:
    log = (
        "a\r\n\x1b[31mERROR\x1b[0m open /é/x.conf: no such file or directory\r\nTraceback (most recent call last):\n"
        '  File "a.py", line 1\nKeyError: 1\n\rone\rtwo\nend without newline'
    ).encode()
    whole = digest([log], exit_code=1)
    assert digest([log[i : i + size] for i in range(0, len(log), size)], exit_code=1) == whole
    assert whole.lines == 7
    assert [h.kind for h in whole.hits] == ["file-not-found", "panic"] or [h.kind for h in whole.hits] == [
        "panic",
        "file-not-found",
    ]


def test_bad_utf8_and_control_characters_are_visible() -> None:
    result = digest([b"ERROR open /data/\xff\x00\x1b]0;evil\x07\xe2\x80\xae: permission denied\n"])
    (hit,) = result.hits
    assert hit.kind == "permission-denied"
    assert all(c.isprintable() for c in hit.line)
    assert all(c.isprintable() for c in hit.name)


def test_secrets_do_not_come_out() -> None:
    log = (
        b"ERROR cannot connect to postgres://app:Tr0ub4dor@db:5432/x: connection refused\n"
        b"ERROR auth failed token=ghp_abcdefghijklmnopqrstuvwxyz0123456789\n"
        b"panic: password=Tr0ub4dor rejected\n\ngoroutine 1 [running]:\nmain.main()\n\t/x.go:1 +0x1\n"
    )
    result = digest([log], exit_code=2)
    assert "Tr0ub4dor" not in repr(result)
    assert "ghp_abc" not in repr(result)
    assert result.of("connection-refused")[0].peer is not None
    assert result.of("connection-refused")[0].peer.host == "db"  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("line", "moment"),
    [
        ("2024-05-01T10:00:00Z ERROR x: permission denied", "2024-05-01T10:00:00+00:00"),
        ("2024-05-01T10:00:00.123456789+02:00 ERROR x: permission denied", "2024-05-01T10:00:00.123456+02:00"),
        ("2024-05-01 10:00:00,500 ERROR x: permission denied", "2024-05-01T10:00:00.500000+00:00"),
        ("2024/05/01 10:00:00 x: permission denied", "2024-05-01T10:00:00+00:00"),
        ("[2024-05-01 10:00:00 +0000] [7] [ERROR] x: permission denied", "2024-05-01T10:00:00+00:00"),
        ("1:M 01 May 2024 10:00:00.123 # x: permission denied", "2024-05-01T10:00:00.123000+00:00"),
        ('time="2024-05-01T10:00:00Z" level=error msg="x: permission denied"', "2024-05-01T10:00:00+00:00"),
        ('ts=2024-05-01T10:00:00Z level=error err="x: permission denied"', "2024-05-01T10:00:00+00:00"),
        ('{"ts":1714557600.5,"level":"error","msg":"x: permission denied"}', "2024-05-01T10:00:00.500000+00:00"),
        (
            '{"t":{"$date":"2024-05-01T10:00:00.000+00:00"},"s":"E","c":"STORAGE","msg":"x: permission denied"}',
            "2024-05-01T10:00:00+00:00",
        ),
        ("2024-05-01 10:00:00.123 UTC [1] FATAL:  x: permission denied", "2024-05-01T10:00:00.123000+00:00"),
        ("[Wed May 01 10:00:00.123456 2024] [core:error] x: permission denied", "2024-05-01T10:00:00.123456+00:00"),
    ],
)
def test_timestamps(line: str, moment: str) -> None:
    (hit,) = digest([line.encode()]).hits
    assert hit.at is not None
    assert hit.at.isoformat() == moment


def test_line_without_a_timestamp_takes_the_last_one() -> None:
    log = b"2024-05-01T10:00:00Z INFO hello\nx: permission denied\n"
    assert digest([log]).hits[0].at == datetime(2024, 5, 1, 10, tzinfo=UTC)


def test_templates_count_and_keep_the_severe() -> None:
    log = b"".join(
        b"2024-05-01T10:00:%02dZ INFO served %d items to 10.0.0.%d\n" % (n % 60, n, n % 9) for n in range(500)
    )
    log += b"2024-05-01T11:00:00Z ERROR strange thing in 0xdeadbeef\n"
    result = digest([log])
    assert result.templates[0].level == "error"
    served = next(t for t in result.templates if "served" in t.text)
    assert served.count == 500
    assert served.last is not None
    assert result.last_lines[-1].endswith("strange thing in 0xdeadbeef")
    assert len(result.last_lines) == 20


@pytest.mark.parametrize(
    "piece",
    [
        "connect ",
        "a/",
        "env A_B ",
        "(",
        "=",
        "https://",
        "could not resolve ",
        "\\",
        '"',
        "lookup a on 1:53: ",
        "field ",
        "::",
        "A_",
        "10.0.0.1:",
        "host ",
    ],
)
def test_adversarial_line_takes_bounded_time(piece: str) -> None:
    began = time.perf_counter()
    digest(
        [
            (piece * (MEBIBYTE // len(piece))).encode() + b" error failed connection refused\n",
            ("error " + piece * 400).encode(),
        ]
    )
    assert time.perf_counter() - began < 2

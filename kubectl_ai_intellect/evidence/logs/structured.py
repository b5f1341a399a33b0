"""One line taken apart: level, time, message and error, from JSON, logfmt, klog and plain loggers."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from kubectl_ai_intellect.evidence.logs.lines import text_of
from kubectl_ai_intellect.evidence.logs.stamps import klog_level, peel, time_of

__all__ = ["LEVELS", "Parsed", "parse"]

LEVELS = ("trace", "debug", "info", "", "warn", "error", "fatal")
"""Ascending; a line without a level counts between info and warn."""

_NAMES = {
    "trace": "trace", "verbose": "debug", "verb": "debug", "debug": "debug", "dbug": "debug", "dbg": "debug",
    "debg": "debug", "fine": "debug", "d": "debug", "info": "info", "information": "info", "informational": "info",
    "inf": "info", "notice": "info", "note": "info", "log": "info", "i": "info", "hint": "info", "detail": "info",
    "warn": "warn", "warning": "warn", "wrn": "warn", "w": "warn", "error": "error", "err": "error", "eror": "error",
    "severe": "error", "fail": "error", "e": "error", "fatal": "fatal", "ftl": "fatal", "critical": "fatal",
    "crit": "fatal", "crt": "fatal", "emerg": "fatal", "emergency": "fatal", "alert": "fatal", "panic": "fatal",
    "dpanic": "fatal", "f": "fatal", "c": "fatal",
}  # fmt: skip
_UPPER = (
    "TRACE|VERBOSE|DEBUG|DEBG|DBG|INFO|INF|INFORMATION|NOTICE|NOTE|LOG|HINT|DETAIL|WARN|WARNING|WRN|ERROR|ERR|EROR"
    "|SEVERE|FATAL|FTL|CRITICAL|CRIT|EMERG|ALERT|PANIC"
)
_WORD = re.compile(rf"(?<![\w.\-/=\"])(?:{_UPPER})(?![\w.\-(/=\"'])")
_BRACKET = re.compile(
    r"[\[<(]\s{0,3}(?P<level>trace|debug|info|notice|warn|warning|error|err|crit|critical|alert|emerg|fatal|severe|panic)\s{0,3}[\])>]",
    re.IGNORECASE,
)
_HEAD = re.compile(
    r"(?:[\w.\-/]{1,60}+(?:\[\d+\])?: )?(?P<level>trace|debug|dbug|info|warn|warning|error|fail|fatal|crit|critical|panic)\b ?:(?!\d)",
    re.IGNORECASE,
)
_CHANNEL = re.compile(
    r"(?:^|\s)[a-z][\w\-]{1,30}\.(?P<level>DEBUG|INFO|NOTICE|WARNING|ERROR|CRITICAL|ALERT|EMERGENCY): "
)
_LOGFMT = re.compile(
    r"(?<![\w.])(?:level|lvl|severity|loglevel|log\.level)[=:]\s?[\"']?(?P<level>[A-Za-z]{1,13})", re.I
)
_ERROR_FIELD = re.compile(
    r"(?<![\w.])(?:err|error|cause|exception|reason)=(?!\"?(?:nil|null|none|false|0|)\"?(?:\s|$))", re.I
)
_REDIS = re.compile(r"\d{1,7}:[A-Z] .{15,30} (?P<mark>[#*.\-]) ")
_PINO = {10: "trace", 20: "debug", 30: "info", 40: "warn", 50: "error", 60: "fatal"}

_LEVEL_KEYS = ("level", "severity", "lvl", "log.level", "loglevel", "log_level", "levelname", "level_name", "s", "@l",
               "severity_text", "severitytext", "priority")  # fmt: skip
_MESSAGE_KEYS = ("msg", "message", "@message", "@mt", "@m", "short_message", "full_message", "log", "event", "text", "body",
                 "description", "title")  # fmt: skip
_TIME_KEYS = (
    "time",
    "ts",
    "timestamp",
    "@timestamp",
    "@t",
    "t",
    "datetime",
    "date",
    "asctime",
    "eventtime",
    "timemillis",
)
_ERROR_KEYS = ("error", "err", "exception", "exc_info", "error.message", "error_message", "errormessage", "errormsg", "cause",
               "reason", "detail", "details", "failure", "@x", "x", "exc", "thrown", "error.type", "errorverbose",
               "extendedstacktrace", "panic")  # fmt: skip
_STACK_KEYS = (
    "stack",
    "stack_trace",
    "stacktrace",
    "stacktraces",
    "error.stack_trace",
    "error.stack",
    "traceback",
    "backtrace",
)
_NESTED = (
    "attr",
    "context",
    "data",
    "fields",
    "extra",
    "log",
    "jsonpayload",
    "record",
    "attributes",
    "properties",
    "meta",
)


@dataclass(slots=True)
class Parsed:
    """text: what the line says. body: further lines it carries (a nested stack). extra: its other fields."""

    text: str
    level: str = ""
    at: datetime | None = None
    body: tuple[str, ...] = ()
    extra: str = ""
    error_field: bool = False


def parse(raw: bytes) -> Parsed:
    """Never fails: what is no JSON object is read as a plain line."""
    at, text = peel(text_of(raw))
    if text.startswith("{"):
        fields = _json(text)
        if fields is not None:
            parsed = _from_fields(fields)
            parsed.at = at or parsed.at
            return parsed
    level = _plain_level(text)
    letter, rest = klog_level(text)
    if letter:
        text = rest
    text = text.replace('\\"', '"') if '\\"' in text else text
    lines = text.replace("\\n\\t", "\n\t").replace("\\n", "\n").split("\n") if "\\n" in text else [text]
    return Parsed(lines[0], level, at, tuple(lines[1:80]), "", _ERROR_FIELD.search(text) is not None)


def _json(text: str) -> dict[str, Any] | None:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _plain_level(text: str) -> str:
    head = text[:160]
    letter, _ = klog_level(head)
    if letter:
        return _NAMES[letter.lower()]
    for pattern in (_LOGFMT, _HEAD):
        found = pattern.search(head) if pattern is _LOGFMT else pattern.match(head)
        if found is not None and found["level"].lower() in _NAMES:
            return _NAMES[found["level"].lower()]
    found = _CHANNEL.search(head)
    if found is not None:
        return _NAMES[found["level"].lower()]
    found = _BRACKET.search(head)
    word = _WORD.search(head)
    if found is not None and (word is None or found.start() <= word.start()):
        return _NAMES[found["level"].lower()]
    return _NAMES[word.group().lower()] if word is not None else ""


def _from_fields(fields: dict[str, Any]) -> Parsed:
    lowered = {str(key).lower(): value for key, value in fields.items()}
    message = _first_text(lowered, _MESSAGE_KEYS)
    inner = message.lstrip()
    if inner.startswith("{") and (nested := _json(inner)) is not None:
        return _from_fields(nested)
    errors, body = _errors(lowered, 0)
    parts = [message.rstrip(), *(e for e in errors if e and e not in message)]
    lines = ": ".join(p for p in parts if p).split("\n")
    level = _level(lowered)
    return Parsed(
        text=lines[0].replace('\\"', '"'),
        level=level or _plain_level(lines[0]),
        at=next((t for t in (time_of(lowered.get(k)) for k in _TIME_KEYS) if t is not None), None),
        body=tuple([*lines[1:], *body][:200]),
        extra=_extra(lowered),
        error_field=bool(errors or body),
    )


def _first_text(fields: dict[str, Any], keys: tuple[str, ...]) -> str:
    for key in keys:
        value = fields.get(key)
        if isinstance(value, str) and value:
            return value
        if isinstance(value, dict):
            inner = _first_text({str(k).lower(): v for k, v in value.items()}, ("message", "msg", "description"))
            if inner:
                return inner
    return ""


def _errors(fields: dict[str, Any], depth: int) -> tuple[list[str], list[str]]:
    """Texts of error fields, however nested, and the lines of stacks."""
    errors: list[str] = []
    body: list[str] = []
    for key in _ERROR_KEYS + _STACK_KEYS + _NESTED:
        value = fields.get(key)
        if isinstance(value, dict) and depth < 4:
            lowered = {str(k).lower(): v for k, v in value.items()}
            told = _told(lowered) if key not in _NESTED else ""
            more, deeper = _errors(lowered, depth + 1)
            errors.extend([told, *more] if told else more)
            body.extend(deeper)
        elif isinstance(value, list) and key not in _NESTED:
            body.extend(str(v.get("message", v)) if isinstance(v, dict) else str(v) for v in value[:40])
        elif isinstance(value, str) and value:
            if key in _STACK_KEYS:
                body.extend(value.split("\n"))
            elif key not in _NESTED:
                first, *rest = value.split("\n")
                errors.append(first)
                body.extend(rest)
    return errors, body


def _told(error: dict[str, Any]) -> str:
    """`Type: message (code)` of an error object."""
    kind = next(
        (str(error[k]) for k in ("type", "name", "class", "kind", "codename") if isinstance(error.get(k), str)),
        "",
    )
    message = next(
        (str(error[k]) for k in ("message", "msg", "errmsg", "description") if isinstance(error.get(k), str)),
        "",
    )
    code = error.get("code")
    text = f"{kind}: {message}" if kind and message else kind or message
    return f"{text} ({code})" if isinstance(code, str | int) and str(code) not in text else text


def _level(fields: dict[str, Any]) -> str:
    for key in _LEVEL_KEYS:
        value = fields.get(key)
        if isinstance(value, int) and not isinstance(value, bool):
            return _PINO.get(value // 10 * 10, "") if value >= 10 else ""
        if isinstance(value, str) and value.lower() in _NAMES:
            return _NAMES[value.lower()]
    log = fields.get("log")
    return _level({str(k).lower(): v for k, v in log.items()}) if isinstance(log, dict) else ""


def _extra(fields: dict[str, Any]) -> str:
    """Short scalar fields as `key=value`: they often carry the address that the message leaves out."""
    shown: list[str] = []
    flat = list(fields.items())
    for key in _NESTED + _ERROR_KEYS:
        value = fields.get(key)
        if isinstance(value, dict):
            flat.extend(value.items())
    for key, value in flat[:80]:
        known = str(key).lower() in _MESSAGE_KEYS + _TIME_KEYS + _LEVEL_KEYS
        if not known and isinstance(value, str | int) and len(str(value)) <= 200:
            shown.append(f"{key}={value}")
    return " ".join(shown)[:2000]

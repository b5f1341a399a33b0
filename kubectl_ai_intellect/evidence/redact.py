"""What may be shown: secret values masked (`redact`), control characters made visible (`clean`).

Both are idempotent and run in time linear in the text: every pattern starts at a literal or at a token's
beginning and has bounded or possessive repeats. Masking never eats the words that decide a diagnosis:
names of keys, variables, users and hosts stay, and so does prose ("DB_PASSWORD is not set").
"""

from __future__ import annotations

import re

__all__ = ["MASK", "clean", "redact"]

MASK = "<redacted>"

_CONTROL = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f"
    "\u2028-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e0fff]"
)

_KEYWORD = (
    r"(?:passw(?:or)?d|passwort|passphrase|passwd|pwd|secret|token|credentials?|api[_-]?key|apikey|access[_-]?key"
    r"|account[_-]?key|shared[_-]?access[_-]?key|private[_-]?key|encryption[_-]?key|signing[_-]?key|master[_-]?key"
    r"|auth[_-]?key|session[_-]?(?:id|key)|set-cookie|cookie|dsn)"
)
# What may follow the keyword inside one key: DB_PASSWORD_PROD, tokenValue. Bounded: a key is short.
_SUFFIX = r"(?P<suffix>[A-Za-z0-9_.\-]{0,40}+)"
_QUOTE = r"\\{0,3}[\"'`]"
_PAIR = re.compile(
    rf"(?P<word>{_KEYWORD}){_SUFFIX}(?P<kq>{_QUOTE})?\]?(?P<sep>[ \t]{{0,8}}(?:=>|:=|==|=|:(?!//))[ \t]{{0,8}})"
    rf"(?:(?P<vq>{_QUOTE})(?P<quoted>[^\"'`\r\n]{{0,8192}}+)|(?P<bare>[^\s,;&\"'`}}\]\)]{{1,8192}}+))",
    re.IGNORECASE,
)
_FLAG = re.compile(
    rf"(?P<head>--[a-z0-9-]{{0,30}}?{_KEYWORD}[ \t]{{1,4}})(?P<value>[^\s\-\"'<][^\s\"'<]{{0,4096}}+)",
    re.IGNORECASE,
)
# {"name": "DB_PASSWORD", "value": "x"} and its YAML form.
_NAMED = re.compile(
    rf"(?P<head>name{_QUOTE}?[ \t]{{0,4}}[:=][ \t]{{0,4}}(?:{_QUOTE})?[\w.\-]{{0,60}}?{_KEYWORD}[\w.\-]{{0,40}}(?:{_QUOTE})?"
    rf"\s{{0,40}},?\s{{0,40}}(?:{_QUOTE})?value(?:{_QUOTE})?[ \t]{{0,4}}[:=][ \t]{{0,4}})"
    rf"(?:(?P<vq>{_QUOTE})(?P<quoted>[^\"'`\r\n]{{1,8192}}+)|(?P<bare>[^\s,;&\"'`}}\]\)]{{1,8192}}+))",
    re.IGNORECASE,
)
# A key whose value is about a secret, not the secret: its name, file, kind, age, number.
_ABOUT = re.compile(
    r"(?:name|names|ref|refs|path|file|dir|mount|type|kind|url|uri|endpoint|host|issuer|length|len|size|count|s?_?used"
    r"|expiry|expiration|expires|expires_in|ttl|age|policy|store|provider|version|engine|algorithm|mode|enabled|required"
    r"|set|missing|error|status|rotation|s|in_use|per_second|limit|budget|source|field|manager|class|space)$",
    re.IGNORECASE,
)
_PROSE = frozenset(
    [
        "a",
        "an",
        "and",
        "any",
        "are",
        "as",
        "at",
        "auth",
        "authentication",
        "authorization",
        "be",
        "because",
        "been",
        "but",
        "by",
        "can",
        "cannot",
        "cant",
        "could",
        "creation",
        "decode",
        "decoding",
        "denied",
        "deny",
        "did",
        "do",
        "does",
        "empty",
        "error",
        "expected",
        "expired",
        "expires",
        "failed",
        "failure",
        "false",
        "field",
        "for",
        "from",
        "get",
        "getting",
        "has",
        "have",
        "http",
        "https",
        "if",
        "in",
        "incorrect",
        "instead",
        "invalid",
        "is",
        "it",
        "its",
        "key",
        "length",
        "likely",
        "malformed",
        "may",
        "mismatch",
        "missing",
        "mount",
        "must",
        "nil",
        "no",
        "none",
        "not",
        "null",
        "of",
        "ok",
        "on",
        "open",
        "optional",
        "or",
        "parse",
        "parsing",
        "please",
        "read",
        "reading",
        "rejected",
        "request",
        "required",
        "revoked",
        "rpc",
        "set",
        "should",
        "signature",
        "string",
        "that",
        "the",
        "this",
        "timeout",
        "to",
        "token",
        "true",
        "unable",
        "unauthorized",
        "undefined",
        "unexpected",
        "unknown",
        "unset",
        "unsupported",
        "use",
        "used",
        "using",
        "valid",
        "validation",
        "value",
        "verify",
        "was",
        "were",
        "when",
        "which",
        "while",
        "with",
        "without",
        "wrong",
        "yes",
        "you",
        "your",
        "x509",
        "dial",
        "default",
        "type",
        "forbidden",
    ]
)
_PLAIN_WORD = re.compile(r"[A-Za-z][a-z']{0,15}[.:!]?$")
_PLACEHOLDER = re.compile(
    r"[*x•]{3,}$|<[^>]{0,60}>?$|\$\{?\(?\w{1,80}\)?\}?$|\[?(?:redacted|hidden|masked|filtered)\b.{0,20}$|%[sqvd]$",
    re.I,
)
_PATHLIKE = re.compile(r"(?:/[\w.@\-]{1,80}){2,20}$")

_USERINFO = re.compile(
    r"(?P<head>(?<![A-Za-z0-9+.\-])(?:[A-Za-z][A-Za-z0-9+.\-]{1,40}:){0,2}//[^\s/@:\"'<>]{0,128}+:)"
    r"(?!\d{1,5}(?:[/?#\s,]|$))(?P<value>[^\s\"'<>,]{1,256})@(?=[\w.\[%-])"
)
_URL_TOKEN = re.compile(
    r"(?P<head>(?<![A-Za-z0-9+.\-])[A-Za-z][A-Za-z0-9+.\-]{1,40}://)(?P<value>[A-Za-z0-9_\-]{20,256}+)@"
)
_GO_DSN = re.compile(
    r"(?P<head>(?<![\w.\-])[\w.\-]{1,64}+:)(?P<value>[^\s@:/\"'<>]{1,128}+)@(?=(?:tcp|tcp6|unix|udp)\()"
)
_QUERY = re.compile(
    r"(?P<head>[?&](?:sig|signature|x-amz-signature|x-amz-security-token|x-goog-signature|code|auth|key)=)(?P<value>[^&\s\"'<>]{6,4096}+)",
    re.I,
)
_AUTH = re.compile(
    rf"(?P<head>\b(?:proxy-)?(?:x-)?auth(?:orization)?(?:{_QUOTE})?[ \t]{{0,4}}[:=][ \t]{{0,4}}\[?(?:{_QUOTE})?"
    r"(?:bearer|basic|token|digest|negotiate|apikey|aws4-hmac-sha256)[ \t]{1,4})(?P<value>[^\s\"'`<\]][^\"'`\r\n<\]]{3,4096}+)",
    re.IGNORECASE,
)
_BEARER = re.compile(
    r"(?P<head>\b(?:Bearer|bearer|BEARER)[ \t]{1,4})(?P<value>(?=[^\s]{0,400}[\d._~+/=])[A-Za-z0-9._~+/=\-]{8,8192}+)"
)
_BASIC = re.compile(r"(?P<head>\b[Bb]asic[ \t]{1,2})(?P<value>[A-Za-z0-9+/]{12,4096}+={0,2})(?![\w])")
_JWT = re.compile(r"(?<![A-Za-z0-9_\-])eyJ[A-Za-z0-9_\-]{8,}+\.[A-Za-z0-9_\-]{4,}+(?:\.[A-Za-z0-9_\-]*+)?")
_KNOWN = re.compile(
    r"(?<![A-Za-z0-9_\-])(?:(?:AKIA|ASIA|AROA|AIDA)[0-9A-Z]{16}(?![0-9A-Z])|gh[pousr]_[A-Za-z0-9]{20,255}+"
    r"|github_pat_[A-Za-z0-9_]{20,255}+|glpat-[A-Za-z0-9_\-]{16,128}+|xox[abeoprs]-[A-Za-z0-9\-]{10,255}+"
    r"|xapp-[A-Za-z0-9\-]{10,255}+|AIza[0-9A-Za-z_\-]{30,60}+|ya29\.[0-9A-Za-z_\-]{10,2048}+|sk-[A-Za-z0-9_\-]{20,255}+"
    r"|[srp]k_(?:live|test)_[0-9A-Za-z]{10,255}+|hv[sb]\.[A-Za-z0-9_\-]{20,512}+|npm_[A-Za-z0-9]{30,60}+"
    r"|hf_[A-Za-z0-9]{30,60}+|dop_v1_[a-f0-9]{40,80}+|SG\.[\w\-]{16,32}\.[\w\-]{30,60}+|dckr_pat_[A-Za-z0-9_\-]{20,64}+"
    r"|pypi-[A-Za-z0-9_\-]{40,255}+|whsec_[A-Za-z0-9]{20,80}+|AGE-SECRET-KEY-1[0-9A-Z]{40,80}+)"
)
_PEM_BEGIN = re.compile(r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----")
_PEM_BODY = re.compile(r"(?:[A-Za-z0-9+/=]{1,200}+|\\[rn]|[\s|>]|(?:Proc-Type|DEK-Info)[^\n\\]{0,80}+)*+")
_PEM_END = re.compile(r"-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----")
_SECRET_KIND = re.compile(r"kind[\"']?[ \t]{0,4}:[ \t]{0,4}[\"']?Secret\b")
_DATA_JSON = re.compile(r"(?P<head>\"(?:data|stringData)\"\s{0,20}:\s{0,20}\{)(?P<body>[^{}]{0,100000}+)")
_JSON_VALUE = re.compile(r"(?P<head>:\s{0,20}\")(?P<value>(?:[^\"\\]|\\.){1,65536}+)(?=\")")
_DATA_LINE = re.compile(r"^(?P<indent> *)(?:data|stringData):\s*$")
_YAML_VALUE = re.compile(r"^(?P<head> *[\w.\-]{1,253}+:[ \t]{1,4})(?P<value>\S.*)$")


def clean(text: str) -> str:
    """Control, bidirectional and invisible characters as visible escapes; line ends and tabs stay."""
    text = _CONTROL.sub(_visible, text)
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in "\n\t" else _escape(ord(c)) for c in text)


def redact(text: str) -> str:
    """The text with the values of secrets masked; names of keys, users and hosts stay."""
    if "PRIVATE KEY" in text:
        text = _without_keys(text)
    if "Secret" in text and _SECRET_KIND.search(text):
        text = _without_secret_data(text)
    if "//" in text:
        text = _URL_TOKEN.sub(_mask_at, _USERINFO.sub(_mask_at, text))
    if "@" in text:
        text = _GO_DSN.sub(_mask_at, text)
    text = _JWT.sub(MASK, text)
    text = _KNOWN.sub(MASK, text)
    text = _AUTH.sub(_mask_value, text)
    text = _BEARER.sub(_mask_value, text)
    text = _BASIC.sub(_mask_basic, text)
    text = _QUERY.sub(_mask_value, text)
    text = _NAMED.sub(_mask_named, text)
    text = _FLAG.sub(_mask_flag, text)
    return _PAIR.sub(_mask_pair, text)


def _visible(found: re.Match[str]) -> str:
    return _escape(ord(found.group()))


def _escape(code: int) -> str:
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _mask_value(found: re.Match[str]) -> str:
    return found["head"] + MASK


def _mask_at(found: re.Match[str]) -> str:
    return f"{found['head']}{MASK}@"


def _mask_basic(found: re.Match[str]) -> str:
    value = found["value"]
    mixed = any(c.isdigit() or c in "+/=" for c in value) or (any(map(str.isupper, value[1:])) and not value.isupper())
    return found["head"] + MASK if mixed else found.group()


def _mask_flag(found: re.Match[str]) -> str:
    value = found["value"]
    if value.lower().strip(".,:;") in _PROSE or _shown_anyway(value):
        return found.group()
    return found["head"] + MASK


def _mask_named(found: re.Match[str]) -> str:
    value = found["quoted"] or found["bare"] or ""
    if _shown_anyway(value):
        return found.group()
    return found["head"] + (found["vq"] or "") + MASK


def _mask_pair(found: re.Match[str]) -> str:
    suffix = found["suffix"]
    value = found["quoted"] if found["vq"] else found["bare"]
    if not value or (suffix and _ABOUT.search(suffix.replace("-", "_"))) or _shown_anyway(value):
        return found.group()
    if not found["vq"]:
        if _reads_as_prose(found, value):
            return found.group()
        tail = ":" if value.endswith(":") and found["sep"].strip() == ":" else ""
        return _up_to_value(found, "bare") + MASK + tail
    if found["kq"] is None and found["sep"].strip() == ":" and _sentence(value):
        return found.group()
    return _up_to_value(found, "quoted") + MASK


def _up_to_value(found: re.Match[str], group: str) -> str:
    return found.group()[: found.start(group) - found.start()]


def _shown_anyway(value: str) -> bool:
    """Empty, masked already, a reference to a variable, or a path: nothing to hide, and it may decide."""
    bare = value.strip()
    if len(bare) > 200:
        return False
    return (
        bare.lower() in {"", "null", "nil", "none", "true", "false", "undefined", "unset", "not", "{}", "[]", "{", "["}
        or _PLACEHOLDER.match(bare) is not None
        or _PATHLIKE.match(bare) is not None
    )


def _reads_as_prose(found: re.Match[str], value: str) -> bool:
    """`token: expired`, `getting token: dial tcp …`: words of a message rather than a value."""
    word = value.lower().strip(".:!()?")
    after = found.string[found.end() : found.end() + 2]
    spaced = found["sep"].endswith((" ", "\t"))
    if found["kq"] is not None:
        return False
    if found["sep"].strip() == "=":
        return spaced and word in _PROSE
    if word in _PROSE or (word.isdigit() and len(word) <= 3):
        return True
    more = (after[:1] == " " and after[1:2].isalnum()) or value.endswith(":")
    return spaced and bool(more) and (_PLAIN_WORD.match(value) is not None or value.endswith(":"))


def _sentence(value: str) -> bool:
    words = value.split()
    return len(words) > 2 and any(word.lower().strip(".,:") in _PROSE for word in words)


def _without_keys(text: str) -> str:
    """Private keys in PEM form, whole or cut off; each character is looked at once."""
    parts: list[str] = []
    at = 0
    while (begin := _PEM_BEGIN.search(text, at)) is not None:
        parts.append(text[at : begin.end()])
        body = _PEM_BODY.match(text, begin.end())
        stop = body.end() if body is not None else begin.end()
        end = _PEM_END.match(text, stop)
        hidden = text[begin.end() : stop].strip()
        parts.append(MASK if hidden and hidden != MASK else hidden)
        parts.append(end.group() if end is not None else "")
        at = end.end() if end is not None else stop
    parts.append(text[at:])
    return "".join(parts)


def _without_secret_data(text: str) -> str:
    """Every value below data and stringData of a Secret, whatever its key is called."""
    text = _DATA_JSON.sub(lambda m: m["head"] + _JSON_VALUE.sub(_mask_value, m["body"]), text)
    inside = -1
    lines = text.split("\n")
    for number, line in enumerate(lines):
        header = _DATA_LINE.match(line)
        if header is not None:
            inside = len(header["indent"])
            continue
        if inside < 0 or not line.strip():
            continue
        if len(line) - len(line.lstrip(" ")) <= inside:
            inside = -1
            continue
        value = _YAML_VALUE.match(line)
        if value is not None:
            lines[number] = value["head"] + MASK
        elif MASK not in line:
            lines[number] = line[: len(line) - len(line.lstrip(" "))] + MASK
    return "\n".join(lines)

"""Secret values are masked, what decides a diagnosis stays; control characters become visible."""

from __future__ import annotations

import time

import pytest

from kubectl_ai_intellect.evidence.redact import MASK, clean, redact

CANARY = "Tr0ub4dor3xyz"
JWT = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJrdWJlcm5ldGVzIn0.c2lnbmF0dXJl-part_x"

# Each must lose the canary and keep the words behind it.
SECRETS = [
    (f"postgres://app:{CANARY}@db:5432/shop", ["postgres://app:", "@db:5432/shop"]),
    (f"postgres://app:p/w{CANARY}@db:5432/shop", ["@db:5432/shop"]),
    (f"postgres://app:a@{CANARY}@db/shop", ["@db/shop"]),
    (f"redis://:{CANARY}@cache:6379/0", ["@cache:6379"]),
    (f"amqps://guest:{CANARY}@mq.svc:5671//", ["guest", "mq.svc:5671"]),
    (f"jdbc:postgresql://db:5432/x?user=app&password={CANARY}&ssl=true", ["db:5432", "user=app", "ssl=true"]),
    (f"app:{CANARY}@tcp(mysql:3306)/shop", ["app:", "mysql:3306"]),
    (f"DB_PASSWORD={CANARY}", ["DB_PASSWORD="]),
    (f'export API_TOKEN="{CANARY}"', ["API_TOKEN="]),
    (f"password: {CANARY}", ["password:"]),
    (f'{{"user":"app","password":"{CANARY}","host":"db"}}', ['"user":"app"', '"host":"db"']),
    (f'{{\\"password\\":\\"{CANARY}\\",\\"host\\":\\"db\\"}}', ["password", "host", "db"]),
    (f"client_secret={CANARY}&grant_type=client_credentials", ["grant_type=client_credentials"]),
    (f"apiKey: '{CANARY}'", ["apiKey"]),
    (f"X-Api-Key: {CANARY}", ["X-Api-Key"]),
    (f"Authorization: Bearer {CANARY}", ["Authorization: Bearer"]),
    (f"authorization: Basic {CANARY}==", ["Basic"]),
    (f"curl -H 'Authorization: token {CANARY}' https://h/x", ["https://h/x"]),
    (f"Cookie: {CANARY}", ["Cookie"]),
    (f"mysql --user app --password {CANARY} --host db", ["--user app", "--host db"]),
    (f"mysql --password={CANARY} --host=db", ["--host=db"]),
    (f"name: DB_PASSWORD\n  value: {CANARY}", ["DB_PASSWORD"]),
    (f'{{"name":"DB_PASSWORD","value":"{CANARY}"}}', ["DB_PASSWORD"]),
    (f"AccountName=x;AccountKey={CANARY}==;EndpointSuffix=core", ["AccountName=x", "EndpointSuffix=core"]),
    (f"Server=db;User Id=sa;Password={CANARY};Encrypt=true", ["Server=db", "User Id=sa", "Encrypt=true"]),
    (f"https://acc.blob.core/x?sv=2020&sig={CANARY}", ["https://acc.blob.core/x", "sv=2020"]),
    (f"secret => {CANARY}", ["secret"]),
    (f"kind: Secret\ndata:\n  anything: {CANARY}\nmetadata:\n  name: db-creds", ["anything", "name: db-creds"]),
    (f'{{"kind":"Secret","data":{{"anything":"{CANARY}"}},"metadata":{{"name":"db"}}}}', ["anything", '"name":"db"']),
    (f"-----BEGIN RSA PRIVATE KEY-----\n{CANARY}abc\n-----END RSA PRIVATE KEY-----\nnext", ["BEGIN RSA PRIVATE KEY", "next"]),
    (f"key: -----BEGIN PRIVATE KEY-----\\n{CANARY}abc", ["BEGIN PRIVATE KEY"]),
    (f"token eyJhbGciOiJIUzI1NiJ9.{CANARY}.x ghp_{CANARY}aaaaaaaaaaaaaaaaaaaaaaaa end", ["end"]),
]  # fmt: skip

KNOWN = [
    JWT,
    "AKIAIOSFODNN7EXAMPLE",
    "ghp_abcdefghijklmnopqrstuvwxyz0123456789",
    "github_pat_11ABCDEFG0abcdefghij_klmnopqrstuvwxyz",
    "glpat-abcdefghij0123456789",
    "xoxb-123456789012-abcdefghijkl",
    "AIzaSyA1234567890abcdefghijklmnopqrstuv",
    "sk_live_abcdefghij0123456789",
    "hvs.CAESIabcdefghijklmnopqrstuvwx",
    "npm_abcdefghijklmnopqrstuvwxyz0123456789",
]

# Not one character may change.
KEPT = [
    "DATABASE_PASSWORD is not set",
    "required key DB_PASSWORD missing value",
    "KeyError: 'API_TOKEN'",
    'FATAL:  password authentication failed for user "app"',
    "Error: secret not found",
    'secret "db-creds" not found',
    "couldn't find key password in Secret shop/db-creds",
    "token: expired",
    "invalid token: signature is invalid",
    "getting token: dial tcp 10.0.0.1:443: connect: connection refused",
    'failed to get token: Get "https://sts.local/x": dial tcp: lookup sts.local: no such host',
    "secretName: db-creds",
    "secretKeyRef: {name: db-creds, key: password}",
    "imagePullSecrets: [{name: regcred}]",
    "passwordFile=/run/secrets/db",
    "PASSWORD_FILE=/run/secrets/db",
    "token=/var/run/secrets/kubernetes.io/serviceaccount/token",
    "open /var/run/secrets/token: permission denied",
    "max_tokens=512 tokens_used=17",
    "password=${DB_PASSWORD}",
    "password=$DB_PASSWORD",
    "password=",
    'password=""',
    '"token":null',
    "Access denied for user 'app'@'10.0.0.1' (using password: YES)".replace("YES", "YES"),
    "http://api:8080/path?email=a@b.c",
    "dial tcp 10.0.0.1:5432: connect: connection refused",
    "git@github.com:org/repo.git",
    "image: registry.local/app@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
    "Bearer token is missing",
    "Bearer authentication required",
    "basic authentication failed",
    "Basic configuration loaded",
    "error parsing token: unexpected EOF",
    "secret: kubernetes secret not mounted",
    'User "system:serviceaccount:shop:cart" cannot get resource "secrets" in API group ""',
    "x509: certificate signed by unknown authority",
    "token_url=https://idp/token",
]


@pytest.mark.parametrize(("text", "kept"), SECRETS)
def test_secret_goes_and_the_rest_stays(text: str, kept: list[str]) -> None:
    shown = redact(text)
    assert CANARY not in shown
    assert MASK in shown
    for words in kept:
        assert words in shown
    assert redact(shown) == shown


@pytest.mark.parametrize("token", KNOWN)
@pytest.mark.parametrize("around", ["{}", "got {} here", "x={},y=1", '"{}"', "({})"])
def test_tokens_known_by_their_form(token: str, around: str) -> None:
    shown = redact(around.format(token))
    assert token not in shown
    assert token[-12:] not in shown
    assert redact(shown) == shown


@pytest.mark.parametrize("text", KEPT)
def test_deciding_words_stay(text: str) -> None:
    assert redact(text) == text


@pytest.mark.parametrize(
    "piece",
    ["password", "password=", "password: ", "eyJ", "eyJaaaa.", "://", "a://b:", "//a:b", "-----BEGIN PRIVATE KEY-----", "name: password ",
     "kind: Secret\ndata:\n a: b\n", '"data":{', "--password ", "Bearer ", "authorization: bearer ", "A", "\\", '"', "ghp_", "a:", "@", "[", "\x1b", "key-",
     "api_key_", "?sig=", "xox", "sk-", "hvs."],
)  # fmt: skip
def test_adversarial_text_takes_linear_time(piece: str) -> None:
    """Four times the text may take about four times the time, where a quadratic pattern would take sixteen times."""

    def took(size: int) -> float:
        text = piece * (size // len(piece))
        began = time.process_time()
        clean(redact(text))
        return time.process_time() - began

    short, long = took(125_000), took(500_000)
    assert long < 2
    assert long < short * 8 + 0.1


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m"),
        ("a\x00b\x07c\x7f", "a\\x00b\\x07c\\x7f"),
        ("a\u202egnp.exe", "a\\u202egnp.exe"),
        ("zero\u200bwidth\ufeff", "zero\\u200bwidth\\ufeff"),
        ("\x9b31m c1", "\\x9b31m c1"),
        ("tag\U000e0041", "tag\\U000e0041"),
        ("lone\udcff", "lone\\udcff"),
        ("line\nnext\ttab", "line\nnext\ttab"),
        ("carriage\rreturn", "carriage\\x0dreturn"),
        ("größe 日本語 ✓ 🚀", "größe 日本語 ✓ 🚀"),
    ],
)
def test_clean_makes_control_characters_visible(text: str, shown: str) -> None:
    assert clean(text) == shown
    assert clean(shown) == shown

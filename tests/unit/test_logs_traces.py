"""Traces of many lines are one record, and their root decides the class."""

from __future__ import annotations

import textwrap

import pytest

from kubectl_ai_intellect.evidence.logs import LogHit, digest

JAVA = """
    2024-05-01 10:00:00.123 ERROR 1 --- [main] o.s.boot.SpringApplication : Application run failed

    org.springframework.beans.factory.BeanCreationException: Error creating bean with name 'entityManagerFactory'
    \tat org.springframework.beans.factory.support.AbstractBeanFactory.doGetBean(AbstractBeanFactory.java:299)
    \tat org.springframework.boot.SpringApplication.run(SpringApplication.java:315)
    Caused by: org.hibernate.service.spi.ServiceException: Unable to create requested service [JdbcEnvironment]
    \tat org.hibernate.x.Y.z(Y.java:1)
    \t... 15 common frames omitted
    Caused by: org.postgresql.util.PSQLException: Connection to orders-db:5432 refused. Check that the hostname and port are correct
    \tat org.postgresql.core.v3.ConnectionFactoryImpl.openConnectionImpl(ConnectionFactoryImpl.java:319)
    \t... 40 common frames omitted
    Caused by: java.net.ConnectException: Connection refused
    \tat java.base/sun.nio.ch.Net.pollConnect(Native Method)
    \t... 47 common frames omitted
"""
JAVA_DNS = """
    Exception in thread "main" java.lang.RuntimeException: startup failed
    \tat com.shop.Main.main(Main.java:12)
    Caused by: java.net.UnknownHostException: inventory.shop
    \tat java.base/java.net.InetAddress.getAllByName(InetAddress.java:1)
    \t... 1 more
"""
PYTHON_CHAIN = """
    Traceback (most recent call last):
      File "/usr/lib/python3.11/site-packages/urllib3/connection.py", line 200, in _new_conn
        sock = connection.create_connection(
    ConnectionRefusedError: [Errno 111] Connection refused

    The above exception was the direct cause of the following exception:

    Traceback (most recent call last):
      File "/usr/lib/python3.11/site-packages/urllib3/connectionpool.py", line 793, in urlopen
        response = self._make_request(
    urllib3.exceptions.NewConnectionError: <urllib3.connection.HTTPConnection object at 0x7f>: Failed to establish a new connection: [Errno 111] Connection refused

    During handling of the above exception, another exception occurred:

    Traceback (most recent call last):
      File "/app/main.py", line 9, in <module>
        requests.get("http://stock:8080")
    requests.exceptions.ConnectionError: HTTPConnectionPool(host='stock', port=8080): Max retries exceeded with url: / (Caused by NewConnectionError('<urllib3.connection.HTTPConnection object at 0x7f>: Failed to establish a new connection: [Errno 111] Connection refused'))
"""
PYTHON_ENV = """
    Traceback (most recent call last):
      File "/app/main.py", line 4, in <module>
        url = os.environ["ORDERS_DSN"]
              ~~~~~~~~~~^^^^^^^^^^^^^^
      File "<frozen os>", line 685, in __getitem__
    KeyError: 'ORDERS_DSN'
"""
PYDANTIC = """
    Traceback (most recent call last):
      File "/app/settings.py", line 20, in <module>
        settings = Settings()
    pydantic_core._pydantic_core.ValidationError: 1 validation error for Settings
    smtp_host
      Field required [type=missing, input_value={}, input_type=dict]
        For further information visit https://errors.pydantic.dev/2.5/v/missing
"""
PYTHON_PLAIN_KEY = """
    Traceback (most recent call last):
      File "/app/main.py", line 4, in handler
        return users[name]
    KeyError: 'alice'
"""
GO_PANIC = """
    2024/05/01 10:00:00 starting
    panic: failed to open config: open /etc/app/config.toml: no such file or directory

    goroutine 1 [running]:
    main.main()
    \t/src/main.go:21 +0x1a5
    exit status 2
"""
GO_NIL = """
    panic: runtime error: invalid memory address or nil pointer dereference
    [signal SIGSEGV: segmentation violation code=0x1 addr=0x0 pc=0x4a1b2c]

    goroutine 7 [running]:
    main.(*Server).Handle(0x0, {0x1, 0x2})
    \t/src/server.go:33 +0x2c
    created by main.main in goroutine 1
    \t/src/main.go:12 +0x5d
"""
GO_PLAIN = """
    panic: unexpected state

    goroutine 1 [running]:
    main.main()
    \t/src/main.go:21 +0x1a5
"""
NODE = """
    node:internal/process/promises:288
                triggerUncaughtException(err, true /* fromPromise */);
                ^

    Error: connect ECONNREFUSED 10.96.4.4:27017
        at TCPConnectWrap.afterConnect [as oncomplete] (node:net:1555:16) {
      errno: -111,
      code: 'ECONNREFUSED',
      syscall: 'connect',
      address: '10.96.4.4',
      port: 27017
    }

    Node.js v18.19.0
"""
NODE_MODULE = """
    node:internal/modules/cjs/loader:1080
      throw err;
      ^

    Error: Cannot find module '/app/dist/server.js'
        at Module._resolveFilename (node:internal/modules/cjs/loader:1077:15)
        at node:internal/main/run_main_module:23:47 {
      code: 'MODULE_NOT_FOUND',
      requireStack: []
    }
"""
NODE_TYPE = """
    /app/index.js:12
        const x = cfg.db.host;
                      ^

    TypeError: Cannot read properties of undefined (reading 'host')
        at Object.<anonymous> (/app/index.js:12:19)
        at Module._compile (node:internal/modules/cjs/loader:1256:14)

    Node.js v18.19.0
"""
RUST = """
    thread 'main' panicked at src/main.rs:14:10:
    called `Result::unwrap()` on an `Err` value: Os { code: 13, kind: PermissionDenied, message: "Permission denied" }
    note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace
"""
DOTNET = """
    Unhandled exception. System.InvalidOperationException: An exception has been raised that is likely due to a transient failure.
     ---> Npgsql.NpgsqlException (0x80004005): Failed to connect to 10.96.0.20:5432
     ---> System.Net.Sockets.SocketException (111): Connection refused
       at Npgsql.Internal.NpgsqlConnector.Connect(NpgsqlTimeout timeout)
       --- End of inner exception stack trace ---
       at Program.<Main>$(String[] args) in /src/Program.cs:line 12
"""
DOTNET_LOGGER = """
    fail: Microsoft.Extensions.Hosting.Internal.Host[9]
          BackgroundService failed
          StackExchange.Redis.RedisConnectionException: It was not possible to connect to the redis server(s). UnableToConnect on redis:6379/Interactive, ConnectionRefused
             at StackExchange.Redis.ConnectionMultiplexer.Connect(String configuration)
"""
RUBY = """
    /usr/local/lib/ruby/3.2.0/socket.rb:227:in `getaddrinfo': Failed to open TCP connection to search:9200 (getaddrinfo: Name or service not known) (SocketError)
    \tfrom /usr/local/lib/ruby/3.2.0/socket.rb:227:in `foreach'
    \tfrom /app/app.rb:4:in `<main>'
"""
PHP = """
    PHP Fatal error:  Uncaught PDOException: SQLSTATE[HY000] [1045] Access denied for user 'shop'@'10.244.0.9' (using password: YES) in /var/www/html/db.php:7
    Stack trace:
    #0 /var/www/html/db.php(7): PDO->__construct('mysql:host=mysql...', 'shop', Object(SensitiveParameterValue))
    #1 {main}
      thrown in /var/www/html/db.php on line 7
"""
ELIXIR = """
    ** (RuntimeError) environment variable DATABASE_URL is missing.
    For example: ecto://USER:PASS@HOST/DATABASE

        /app/releases/0.1.0/runtime.exs:30: (file)
        (elixir 1.15.7) lib/code.ex:1435: Code.validated_eval_string/3
"""

TRACES: list[tuple[str, str, str, str | None, str | None]] = [
    (JAVA, "connection-refused", "java", None, "orders-db:5432"),
    (JAVA_DNS, "dns-failure", "java", "inventory.shop", "inventory.shop"),
    (PYTHON_CHAIN, "connection-refused", "python", None, "stock:8080"),
    (PYTHON_ENV, "missing-env", "python", "ORDERS_DSN", None),
    (PYDANTIC, "missing-env", "python", "smtp_host", None),
    (PYTHON_PLAIN_KEY, "panic", "python", "KeyError", None),
    (GO_PANIC, "file-not-found", "go", "/etc/app/config.toml", None),
    (GO_NIL, "segfault", "go", None, None),
    (GO_PLAIN, "panic", "go", None, None),
    (NODE, "connection-refused", "node", None, "10.96.4.4:27017"),
    (NODE_MODULE, "module-missing", "node", "/app/dist/server.js", None),
    (NODE_TYPE, "panic", "node", "TypeError", None),
    (RUST, "permission-denied", "rust", None, None),
    (DOTNET, "connection-refused", "dotnet", None, "10.96.0.20:5432"),
    (DOTNET_LOGGER, "connection-refused", "dotnet", None, "redis:6379"),
    (RUBY, "dns-failure", "ruby", "search", "search:9200"),
    (PHP, "auth-failed", "php", "shop", None),
    (ELIXIR, "missing-env", "elixir", "DATABASE_URL", None),
]


def text_of(trace: str, prefix: str = "") -> bytes:
    lines = textwrap.dedent(trace).strip("\n").split("\n")
    return ("\n".join(prefix + line for line in lines) + "\n").encode()


def told(hit: LogHit) -> str:
    return "" if hit.peer is None else f"{hit.peer.host}:{hit.peer.port}" if hit.peer.port else hit.peer.host


@pytest.mark.parametrize("prefix", ["", "2024-05-01T10:00:00.123456789Z "])
@pytest.mark.parametrize(("trace", "kind", "source", "name", "peer"), TRACES)
def test_root_of_a_trace_decides(
    trace: str, kind: str, source: str, name: str | None, peer: str | None, prefix: str
) -> None:
    log = b"INFO starting up\n" + text_of(trace, prefix)
    result = digest([log], exit_code=1)
    hit = result.hits[0]
    assert (hit.kind, hit.source) == (kind, source)
    assert hit.fatal
    assert name is None or hit.name == name
    assert peer is None or told(hit) == peer
    assert (hit.at is not None) or not prefix


@pytest.mark.parametrize(("trace", "kind", "source", "name", "peer"), TRACES)
def test_repeated_trace_is_one_hit(trace: str, kind: str, source: str, name: str | None, peer: str | None) -> None:
    log = (text_of(trace) + b"2024-05-01T10:00:00Z INFO restarting worker\n") * 50
    best = digest([log], exit_code=1).of(kind)
    assert [hit.count for hit in best if hit.count >= 50] == [50]


@pytest.mark.parametrize("trace", [t for t, *_ in TRACES])
def test_trace_is_shown_in_few_lines(trace: str) -> None:
    shown = digest([text_of(trace)], exit_code=1).trace
    assert 2 <= len(shown.split("\n")) <= 12


def test_trace_keeps_its_root_among_hundreds_of_frames() -> None:
    frames = b"".join(b"\tat com.shop.Deep.call%d(Deep.java:%d)\n" % (n, n) for n in range(900))
    log = (
        b'Exception in thread "main" java.lang.IllegalStateException: no\n'
        + frames
        + b"Caused by: java.net.UnknownHostException: vault\n"
        + frames
    )
    result = digest([log], exit_code=1)
    assert (result.hits[0].kind, result.hits[0].name) == ("dns-failure", "vault")
    assert "UnknownHostException: vault" in result.trace
    assert result.hits[0].number == 1


def test_statements_after_a_trace_are_their_own() -> None:
    log = text_of(PYTHON_PLAIN_KEY) + b"2024-05-01 ERROR open /data/a: permission denied\n"
    assert {h.kind for h in digest([log]).hits} == {"panic", "permission-denied"}


def test_stack_inside_json_is_read() -> None:
    log = (
        b'{"timestamp":"2024-05-01T10:00:00Z","level":"ERROR","message":"Application run failed","stack_trace":'
        b'"java.lang.IllegalStateException: x\\n\\tat a.B.c(B.java:1)\\nCaused by: java.net.ConnectException: Connection refused: mq/10.96.0.8:5672\\n\\tat d.E.f(E.java:2)\\n"}\n'
    )
    hit = digest([log], exit_code=1).hits[0]
    assert (hit.kind, told(hit), hit.level) == ("connection-refused", "10.96.0.8:5672", "error")
    assert hit.at is not None
    assert hit.at.isoformat() == "2024-05-01T10:00:00+00:00"


def test_nested_error_object_of_pino() -> None:
    log = b'{"level":50,"time":1714557600000,"err":{"type":"Error","message":"connect ECONNREFUSED 10.96.1.1:6379","stack":"Error: connect ECONNREFUSED 10.96.1.1:6379\\n    at TCPConnectWrap.afterConnect (node:net:1555:16)"},"msg":"redis error"}\n'
    hit = digest([log], exit_code=1).hits[0]
    assert (hit.kind, told(hit), hit.source, hit.level) == ("connection-refused", "10.96.1.1:6379", "node", "error")


def test_another_streams_line_within_a_python_trace_does_not_end_it() -> None:
    log = b"""Traceback (most recent call last):
  File "/code/main.py", line 15, in <module>
    sys.exit(main())
loading tariffs
        ^^^^^^
  File "/code/main.py", line 7, in shipping
    return TARIFFS[kind]
KeyError: 'express'
listening on 8080
"""
    told = digest([log], exit_code=1)
    assert [(hit.kind, hit.line) for hit in told.hits] == [("panic", "KeyError: 'express'")]
    assert told.trace.endswith("KeyError: 'express'")

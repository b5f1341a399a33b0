"""Single lines as real clients, servers and runtimes print them: the kind, the name and the peer that each says."""

from __future__ import annotations

import pytest

from kubectl_ai_intellect.evidence.logs import LOG_KINDS, digest

ANY = None

# (line, kind, name or None where any will do, "host:port", "host", "" for no peer, None where any will do)
NETWORK = [
    ("dial tcp 10.0.0.1:5432: connect: connection refused", "connection-refused", ANY, "10.0.0.1:5432"),
    (
        "2024/05/01 10:00:00 failed to connect to `host=db user=app database=shop`: dial error (dial tcp 10.96.4.4:5432: connect: connection refused)",
        "connection-refused",
        ANY,
        "10.96.4.4:5432",
    ),
    ("Error: connect ECONNREFUSED 10.96.0.5:6379", "connection-refused", ANY, "10.96.0.5:6379"),
    ("Error: connect ECONNREFUSED ::1:5432", "connection-refused", ANY, "::1:5432"),
    (
        "[ioredis] Unhandled error event: Error: connect ECONNREFUSED 10.1.1.1:6379",
        "connection-refused",
        ANY,
        "10.1.1.1:6379",
    ),
    (
        "org.postgresql.util.PSQLException: Connection to db:5432 refused. Check that the hostname and port are correct and that the postmaster is accepting TCP/IP connections.",
        "connection-refused",
        ANY,
        "db:5432",
    ),
    (
        'psycopg2.OperationalError: connection to server at "orders-db" (10.96.12.7), port 5432 failed: Connection refused',
        "connection-refused",
        ANY,
        "orders-db:5432",
    ),
    (
        "redis.exceptions.ConnectionError: Error 111 connecting to redis-master:6379. Connection refused.",
        "connection-refused",
        ANY,
        "redis-master:6379",
    ),
    (
        "pymongo.errors.ServerSelectionTimeoutError: mongo:27017: [Errno 111] Connection refused, Timeout: 30s",
        "connection-refused",
        ANY,
        "mongo:27017",
    ),
    (
        "sqlalchemy.exc.OperationalError: (pymysql.err.OperationalError) (2003, \"Can't connect to MySQL server on 'mysql' ([Errno 111] Connection refused)\")",
        "connection-refused",
        ANY,
        "mysql",
    ),
    (
        "ERROR 2003 (HY000): Can't connect to MySQL server on 'mysql.shop:3306' (111)",
        "connection-refused",
        ANY,
        "mysql.shop:3306",
    ),
    (
        "requests.exceptions.ConnectionError: HTTPConnectionPool(host='inventory', port=8080): Max retries exceeded with url: /v1/items (Caused by NewConnectionError('<urllib3.connection.HTTPConnection object at 0x7f>: Failed to establish a new connection: [Errno 111] Connection refused'))",
        "connection-refused",
        ANY,
        "inventory:8080",
    ),
    (
        "aiohttp.client_exceptions.ClientConnectorError: Cannot connect to host cart:8080 ssl:default [Connect call failed ('10.96.3.3', 8080)]",
        "connection-refused",
        ANY,
        ANY,
    ),
    (
        "curl: (7) Failed to connect to api.shop.svc port 80 after 3 ms: Couldn't connect to server",
        "connection-refused",
        ANY,
        "api.shop.svc:80",
    ),
    ("wget: can't connect to remote host (10.96.0.8): Connection refused", "connection-refused", ANY, ANY),
    ("ssh: connect to host bastion port 22: Connection refused", "connection-refused", ANY, "bastion:22"),
    (
        '2024/05/01 10:00:00 [error] 29#29: *1 connect() failed (111: Connection refused) while connecting to upstream, client: 10.244.0.1, server: , request: "GET / HTTP/1.1", upstream: "http://10.96.7.7:8080/", host: "shop"',
        "connection-refused",
        ANY,
        "10.96.7.7:8080",
    ),
    (
        "io.netty.channel.AbstractChannel$AnnotatedConnectException: Connection refused: payments/10.96.1.9:9090",
        "connection-refused",
        ANY,
        "10.96.1.9:9090",
    ),
    (
        "java.net.ConnectException: Failed to connect to pricing/10.96.2.2:8080",
        "dependency-missing",
        ANY,
        "10.96.2.2:8080",
    ),
    ("System.Net.Http.HttpRequestException: Connection refused (catalog:80)", "connection-refused", ANY, "catalog:80"),
    (
        "Unhandled exception. Npgsql.NpgsqlException (0x80004005): Failed to connect to 10.96.1.4:5432 ---> System.Net.Sockets.SocketException (111): Connection refused",
        "connection-refused",
        ANY,
        "10.96.1.4:5432",
    ),
    (
        "StackExchange.Redis.RedisConnectionException: It was not possible to connect to the redis server(s). UnableToConnect on redis:6379/Interactive, ConnectionRefused",
        "connection-refused",
        ANY,
        "redis:6379",
    ),
    ('Error: Os { code: 111, kind: ConnectionRefused, message: "Connection refused" }', "connection-refused", ANY, ""),
    (
        'thread \'main\' panicked at src/main.rs:9:36: called `Result::unwrap()` on an `Err` value: Connect("http://api:8080", Custom { kind: ConnectionRefused, error: "tcp connect error" })',
        "connection-refused",
        ANY,
        "api:8080",
    ),
    (
        "[error] Postgrex.Protocol (#PID<0.1.0>) failed to connect: ** (DBConnection.ConnectionError) tcp connect (db:5432): connection refused - :econnrefused",
        "connection-refused",
        ANY,
        "db:5432",
    ),
    (
        'PG::ConnectionBad: could not connect to server: Connection refused Is the server running on host "pg" (10.0.0.3) and accepting TCP/IP connections on port 5432?',
        "connection-refused",
        ANY,
        "pg:5432",
    ),
    ('Errno::ECONNREFUSED: Connection refused - connect(2) for "search" port 9200', "connection-refused", ANY, ANY),
    (
        "PHP Fatal error:  Uncaught PDOException: SQLSTATE[HY000] [2002] Connection refused in /var/www/html/db.php:12",
        "connection-refused",
        ANY,
        ANY,
    ),
    ("AMQPConnectionError: [Errno 111] Connection refused rabbitmq:5672", "connection-refused", ANY, "rabbitmq:5672"),
    (
        'Server be/app1 is DOWN, reason: Layer4 connection problem, info: "Connection refused"',
        "connection-refused",
        ANY,
        ANY,
    ),
    (
        "[Producer clientId=p1] Connection to node -1 (kafka/10.96.0.9:9092) could not be established. Broker may not be available.",
        "connection-refused",
        ANY,
        ANY,
    ),
    (
        'rpc error: code = Unavailable desc = connection error: desc = "transport: Error while dialing: dial tcp 10.96.5.5:50051: connect: connection refused"',
        "connection-refused",
        ANY,
        "10.96.5.5:50051",
    ),
    (
        'Get "http://10.96.0.1:80/healthz": dial tcp [fd00::1]:80: connect: connection refused',
        "connection-refused",
        ANY,
        "fd00::1:80",
    ),
    ("dial tcp 10.0.0.9:3306: i/o timeout", "connection-timeout", ANY, "10.0.0.9:3306"),
    ("Error: connect ETIMEDOUT 10.0.0.4:443", "connection-timeout", ANY, "10.0.0.4:443"),
    ("java.net.SocketTimeoutException: connect timed out", "connection-timeout", ANY, ""),
    (
        "org.apache.http.conn.ConnectTimeoutException: Connect to billing:8443 [billing/10.96.3.1] failed: connect timed out",
        "connection-timeout",
        ANY,
        "billing:8443",
    ),
    (
        'psycopg.OperationalError: connection to server at "10.9.8.7", port 5432 failed: timeout expired',
        "connection-timeout",
        ANY,
        "10.9.8.7:5432",
    ),
    (
        "requests.exceptions.ReadTimeout: HTTPSConnectionPool(host='api.partner.io', port=443): Read timed out. (read timeout=10)",
        "connection-timeout",
        ANY,
        "api.partner.io:443",
    ),
    (
        'Get "http://search:9200/": context deadline exceeded (Client.Timeout exceeded while awaiting headers)',
        "connection-timeout",
        ANY,
        "search:9200",
    ),
    (
        "curl: (28) Failed to connect to db port 5432 after 10001 ms: Connection timed out",
        "connection-timeout",
        ANY,
        "db:5432",
    ),
    (
        'upstream timed out (110: Connection timed out) while reading response header from upstream, client: 10.0.0.1, upstream: "http://10.96.3.3:80/"',
        "connection-timeout",
        ANY,
        "10.96.3.3:80",
    ),
    (
        'hyper::Error(Connect, ConnectError("tcp connect error", Os { code: 110, kind: TimedOut, message: "Connection timed out" }))',
        "connection-timeout",
        ANY,
        "",
    ),
    ("ORA-12170: TNS:Connect timeout occurred", "connection-timeout", ANY, ""),
    (
        "UND_ERR_CONNECT_TIMEOUT: Connect Timeout Error (attempted address: api:443, timeout: 10000ms)",
        "connection-timeout",
        ANY,
        "api:443",
    ),
    (
        "read tcp 10.244.0.5:41234->10.96.0.7:5432: read: connection reset by peer",
        "connection-reset",
        ANY,
        "10.96.0.7:5432",
    ),
    ("Error: read ECONNRESET", "connection-reset", ANY, ""),
    ("Error: socket hang up", "connection-reset", ANY, ""),
    ("server closed the connection unexpectedly", "connection-reset", ANY, ""),
    ("pymysql.err.OperationalError: (2006, 'MySQL server has gone away')", "connection-reset", ANY, ANY),
    (
        "urllib3.exceptions.ProtocolError: ('Connection aborted.', RemoteDisconnected('Remote end closed connection without response'))",
        "connection-reset",
        ANY,
        "",
    ),
    ("curl: (52) Empty reply from server", "connection-reset", ANY, ""),
    (
        'upstream prematurely closed connection while reading response header from upstream, upstream: "http://10.1.1.1:3000/"',
        "connection-reset",
        ANY,
        "10.1.1.1:3000",
    ),
    ("dial tcp 10.99.0.1:443: connect: no route to host", "no-route", ANY, "10.99.0.1:443"),
    ("Error: connect EHOSTUNREACH 10.2.2.2:27017", "no-route", ANY, "10.2.2.2:27017"),
    ("java.net.NoRouteToHostException: No route to host (Host unreachable)", "no-route", ANY, ""),
    ("OSError: [Errno 101] Network is unreachable", "no-route", ANY, ""),
]

NAMES = [
    ("dial tcp: lookup orders-db on 10.96.0.10:53: no such host", "dns-failure", "orders-db", "orders-db"),
    (
        "dial tcp: lookup redis.cache.svc.cluster.local. on 10.96.0.10:53: server misbehaving",
        "dns-failure",
        "redis.cache.svc.cluster.local",
        "10.96.0.10:53",
    ),
    (
        "dial tcp: lookup api on 10.96.0.10:53: read udp 10.244.0.4:50314->10.96.0.10:53: i/o timeout",
        "dns-failure",
        "api",
        "10.96.0.10:53",
    ),
    ("Error: getaddrinfo ENOTFOUND db", "dns-failure", "db", "db"),
    ("Error: getaddrinfo EAI_AGAIN redis-master redis-master:6379", "dns-failure", "redis-master", "redis-master:6379"),
    (
        'psycopg2.OperationalError: could not translate host name "db" to address: Name or service not known',
        "dns-failure",
        "db",
        "db",
    ),
    ("java.net.UnknownHostException: payments.shop", "dns-failure", "payments.shop", "payments.shop"),
    ("java.net.UnknownHostException: kafka: Name or service not known", "dns-failure", "kafka", "kafka"),
    (
        "redis.exceptions.ConnectionError: Error -2 connecting to cache:6379. Name or service not known.",
        "dns-failure",
        "cache",
        "cache:6379",
    ),
    ("socket.gaierror: [Errno -3] Temporary failure in name resolution", "dns-failure", ANY, ANY),
    ("curl: (6) Could not resolve host: api.internal", "dns-failure", "api.internal", "api.internal"),
    ("wget: bad address 'backend:8080'", "dns-failure", "backend", "backend:8080"),
    ("nc: bad address 'db'", "dns-failure", "db", "db"),
    (
        'nginx: [emerg] host not found in upstream "backend" in /etc/nginx/conf.d/default.conf:5',
        "dns-failure",
        "backend",
        "backend",
    ),
    (
        '2024/05/01 10:00:00 [emerg] 1#1: host not found in upstream "api.shop:8080" in /etc/nginx/nginx.conf:21',
        "dns-failure",
        "api.shop",
        "api.shop:8080",
    ),
    ("[error] 7#7: *5 backend could not be resolved (3: Host not found)", "dns-failure", "backend", "backend"),
    (
        "ERROR 2005 (HY000): Unknown MySQL server host 'mysql-primary' (-2)",
        "dns-failure",
        "mysql-primary",
        "mysql-primary",
    ),
    (
        "PHP Warning:  mysqli_connect(): php_network_getaddresses: getaddrinfo for mysql failed: Name or service not known in /app/x.php on line 3",
        "dns-failure",
        "mysql",
        "mysql",
    ),
    ("System.Net.Http.HttpRequestException: Name or service not known (catalog:80)", "dns-failure", ANY, "catalog:80"),
    (
        "%3|1714|FAIL|rdkafka#producer-1| [thrd:kafka:9092/bootstrap]: kafka:9092/bootstrap: Failed to resolve 'kafka:9092': Name or service not known (after 2ms in state CONNECT)",
        "dns-failure",
        "kafka",
        "kafka:9092",
    ),
    (
        "error trying to connect: dns error: failed to lookup address information: Name or service not known",
        "dns-failure",
        ANY,
        ANY,
    ),
    (
        "** (DBConnection.ConnectionError) tcp connect (pg:5432): non-existing domain - :nxdomain",
        "dns-failure",
        ANY,
        "pg:5432",
    ),
    ("ping: unknown host gateway", "dns-failure", "gateway", ANY),
    (
        "requests.exceptions.ConnectionError: HTTPConnectionPool(host='stock', port=80): Max retries exceeded with url: / (Caused by NameResolutionError(\"<urllib3.connection.HTTPConnection object at 0x7f>: Failed to resolve 'stock' ([Errno -2] Name or service not known)\"))",
        "dns-failure",
        "stock",
        ANY,
    ),
    ('[FATAL] plugin/loop: Loop (127.0.0.1:38233 -> :53) detected for zone "."', "dns-failure", "loop", ANY),
    (
        "[ERROR] plugin/errors: 2 example.com. A: read udp 10.244.0.3:39033->8.8.8.8:53: i/o timeout",
        "dns-failure",
        ANY,
        ANY,
    ),
]

TLS = [
    (
        "x509: certificate has expired or is not yet valid: current time 2024-05-01T10:00:00Z is after 2024-04-01T00:00:00Z",
        "tls-failed",
        "expired",
        ANY,
    ),
    (
        'Get "https://api:8443/": x509: certificate signed by unknown authority',
        "tls-failed",
        "unknown-authority",
        "api:8443",
    ),
    (
        'Post "https://hooks:443/": tls: failed to verify certificate: x509: certificate is valid for old.svc, not hooks',
        "tls-failed",
        "wrong-host",
        "hooks:443",
    ),
    (
        "ssl.SSLCertVerificationError: [SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: self-signed certificate in certificate chain (_ssl.c:1006)",
        "tls-failed",
        "unknown-authority",
        ANY,
    ),
    (
        "ssl.SSLCertVerificationError: [SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: certificate has expired (_ssl.c:1129)",
        "tls-failed",
        "expired",
        ANY,
    ),
    ("Error: self signed certificate in certificate chain", "tls-failed", "unknown-authority", ANY),
    ("Error: unable to verify the first certificate", "tls-failed", "unknown-authority", ANY),
    ("code: 'CERT_HAS_EXPIRED'", "tls-failed", "expired", ANY),
    (
        "Error [ERR_TLS_CERT_ALTNAME_INVALID]: Hostname/IP does not match certificate's altnames: Host: db. is not in the cert's altnames",
        "tls-failed",
        "wrong-host",
        ANY,
    ),
    (
        "javax.net.ssl.SSLHandshakeException: PKIX path building failed: sun.security.provider.certpath.SunCertPathBuilderException: unable to find valid certification path to requested target",
        "tls-failed",
        "unknown-authority",
        ANY,
    ),
    ("javax.net.ssl.SSLHandshakeException: Received fatal alert: handshake_failure", "tls-failed", "handshake", ANY),
    (
        "javax.net.ssl.SSLHandshakeException: No appropriate protocol (protocol is disabled or cipher suites are inappropriate)",
        "tls-failed",
        "protocol",
        ANY,
    ),
    ("remote error: tls: protocol version not supported", "tls-failed", "protocol", ANY),
    ("tls: private key does not match public key", "tls-failed", ANY, ANY),
    (
        "The remote certificate is invalid because of errors in the certificate chain: UntrustedRoot",
        "tls-failed",
        "unknown-authority",
        ANY,
    ),
    (
        "curl: (60) SSL certificate problem: unable to get local issuer certificate",
        "tls-failed",
        "unknown-authority",
        ANY,
    ),
]

PROTOCOLS = [
    ('Get "https://api:8080/": http: server gave HTTP response to HTTPS client', "protocol-mismatch", ANY, "api:8080"),
    ("tls: first record does not look like a TLS handshake", "protocol-mismatch", ANY, ANY),
    ("Client sent an HTTP request to an HTTPS server.", "protocol-mismatch", ANY, ANY),
    (
        'Get "http://db:5432/": net/http: HTTP/1.x transport connection broken: malformed HTTP response "\\x00\\x00"',
        "protocol-mismatch",
        ANY,
        "db:5432",
    ),
    ("400 The plain HTTP request was sent to HTTPS port", "protocol-mismatch", ANY, ANY),
    ("ssl.SSLError: [SSL: WRONG_VERSION_NUMBER] wrong version number (_ssl.c:1007)", "protocol-mismatch", ANY, ANY),
    ("curl: (35) error:0A00010B:SSL routines::wrong version number", "protocol-mismatch", ANY, ANY),
    (
        'transport: http2Server.HandleStreams received bogus greeting from client: "GET / HTTP/1.1"',
        "protocol-mismatch",
        ANY,
        ANY,
    ),
    ("javax.net.ssl.SSLException: Unrecognized SSL message, plaintext connection?", "protocol-mismatch", ANY, ANY),
    ("Error: Parse Error: Expected HTTP/", "protocol-mismatch", ANY, ANY),
    ("The server does not support SSL connections", "protocol-mismatch", ANY, ANY),
    (
        '[error] no live upstreams while connecting to upstream, client: 10.0.0.1, upstream: "http://backend/"',
        "http-upstream",
        ANY,
        ANY,
    ),
    ("ERROR: request to http://pricing:8080/p failed with status code 503", "http-upstream", ANY, "pricing:8080"),
    ("upstream connect error or disconnect/reset before headers. reset reason: overflow", "http-upstream", ANY, ANY),
    (
        "requests.exceptions.HTTPError: 502 Server Error: Bad Gateway for url: http://tax:8000/rate",
        "http-upstream",
        ANY,
        "tax:8000",
    ),
    ("rpc error: code = Unavailable desc = no healthy upstream pool", "grpc-unavailable", ANY, ANY),
    ("io.grpc.StatusRuntimeException: UNAVAILABLE: keepalive failed", "grpc-unavailable", ANY, ANY),
    ("HTTP 429 Too Many Requests from https://api.stripe.com/v1", "rate-limited", ANY, ANY),
    ("ThrottlingException: Rate exceeded", "rate-limited", ANY, ANY),
    ("Waiting for database to be ready...", "dependency-missing", ANY, ANY),
    ("leaderelection lost", "leader-lost", ANY, ANY),
    (
        "E0501 10:00:00.123456       1 leaderelection.go:367] Failed to update lock: etcdserver: request timed out",
        "connection-timeout",
        ANY,
        ANY,
    ),
]

AUTH = [
    ('FATAL:  password authentication failed for user "shop"', "auth-failed", "shop", ANY),
    ('pq: password authentication failed for user "app"', "auth-failed", "app", ANY),
    (
        'psycopg2.OperationalError: connection to server at "db" (10.0.0.3), port 5432 failed: FATAL:  password authentication failed for user "app"',
        "auth-failed",
        "app",
        "db:5432",
    ),
    (
        "Error 1045 (28000): Access denied for user 'root'@'10.244.0.7' (using password: YES)",
        "auth-failed",
        "root",
        ANY,
    ),
    ("ER_ACCESS_DENIED_ERROR: Access denied for user 'cart'@'%' (using password: NO)", "auth-failed", "cart", ANY),
    ("WRONGPASS invalid username-password pair or user is disabled.", "auth-failed", ANY, ANY),
    ("NOAUTH Authentication required.", "auth-failed", ANY, ANY),
    ("MongoServerError: Authentication failed.", "auth-failed", ANY, ANY),
    (
        "com.rabbitmq.client.AuthenticationFailureException: ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN.",
        "auth-failed",
        ANY,
        ANY,
    ),
    (
        "org.apache.kafka.common.errors.SaslAuthenticationException: Authentication failed during authentication due to invalid credentials",
        "auth-failed",
        ANY,
        ANY,
    ),
    ("Login failed for user 'sa'.", "auth-failed", "sa", ANY),
    ("ORA-01017: invalid username/password; logon denied", "auth-failed", ANY, ANY),
    (
        'no pg_hba.conf entry for host "10.244.1.9", user "app", database "shop", no encryption',
        "auth-failed",
        "app",
        ANY,
    ),
    ('FATAL:  role "app_rw" does not exist', "auth-failed", "app_rw", ANY),
    ("ERROR:  permission denied for table orders", "auth-failed", "table orders", ANY),
    (
        "elastic: Error 401 (Unauthorized): unable to authenticate user [app] for REST request [/] [type=security_exception]",
        "auth-failed",
        ANY,
        ANY,
    ),
    (
        "requests.exceptions.HTTPError: 401 Client Error: Unauthorized for url: http://auth:8080/token",
        "auth-failed",
        ANY,
        "auth:8080",
    ),
    (
        'E0501 10:00:00.123456       1 reflector.go:147] failed to list *v1.Pod: pods is forbidden: User "system:serviceaccount:shop:cart" cannot list resource "pods" in API group "" in the namespace "shop"',
        "forbidden",
        "list pods",
        ANY,
    ),
    (
        'deployments.apps "web" is forbidden: User "system:serviceaccount:ci:runner" cannot patch resource "deployments" in API group "apps" in the namespace "prod"',
        "forbidden",
        "patch deployments.apps",
        ANY,
    ),
    (
        'Error from server (Forbidden): secrets is forbidden: User \\"system:serviceaccount:a:b\\" cannot get resource \\"secrets\\" in API group \\"\\" in the namespace \\"a\\"',
        "forbidden",
        "get secrets",
        ANY,
    ),
    ("An error occurred (AccessDenied) when calling the PutObject operation: Access Denied", "cloud-denied", ANY, ANY),
    (
        "User: arn:aws:sts::1:assumed-role/r/i is not authorized to perform: s3:GetObject on resource: arn:aws:s3:::b/k",
        "cloud-denied",
        "s3:GetObject",
        ANY,
    ),
    ("botocore.exceptions.NoCredentialsError: Unable to locate credentials", "cloud-denied", ANY, ANY),
    (
        "googleapi: Error 403: app@p.iam.gserviceaccount.com does not have storage.objects.get access to the Google Cloud Storage object., forbidden",
        "cloud-denied",
        "storage.objects.get",
        ANY,
    ),
    ("AADSTS700016: Application with identifier was not found in the directory", "cloud-denied", ANY, ANY),
]

STORAGE = [
    ("open /etc/app/config.yaml: no such file or directory", "file-not-found", "/etc/app/config.yaml", ANY),
    (
        "Error: ENOENT: no such file or directory, open '/app/config/settings.json'",
        "file-not-found",
        "/app/config/settings.json",
        ANY,
    ),
    (
        "FileNotFoundError: [Errno 2] No such file or directory: '/data/model.bin'",
        "file-not-found",
        "/data/model.bin",
        ANY,
    ),
    (
        "java.io.FileNotFoundException: /opt/app/app.properties (No such file or directory)",
        "file-not-found",
        "/opt/app/app.properties",
        ANY,
    ),
    ("java.nio.file.NoSuchFileException: /etc/ssl/keystore.jks", "file-not-found", "/etc/ssl/keystore.jks", ANY),
    ("Error: Unable to access jarfile /app/app.jar", "file-not-found", "/app/app.jar", ANY),
    (
        "python: can't open file '/app/main.py': [Errno 2] No such file or directory",
        "file-not-found",
        "/app/main.py",
        ANY,
    ),
    (
        "Unhandled exception. System.IO.FileNotFoundException: Could not find file '/app/appsettings.Production.json'.",
        "file-not-found",
        "/app/appsettings.Production.json",
        ANY,
    ),
    (
        "Errno::ENOENT: No such file or directory @ rb_sysopen - /app/config/database.yml",
        "file-not-found",
        "/app/config/database.yml",
        ANY,
    ),
    ("cat: /config/token: No such file or directory", "file-not-found", "/config/token", ANY),
    ('Error: Os { code: 2, kind: NotFound, message: "No such file or directory" }', "file-not-found", ANY, ANY),
    (
        'nginx: [emerg] cannot load certificate "/etc/nginx/tls/tls.crt": BIO_new_file() failed (SSL: error:80000002:system library::No such file or directory)',
        "file-not-found",
        "/etc/nginx/tls/tls.crt",
        ANY,
    ),
    ("open /var/lib/data/db.lock: permission denied", "permission-denied", "/var/lib/data/db.lock", ANY),
    ("PermissionError: [Errno 13] Permission denied: '/data/out.csv'", "permission-denied", "/data/out.csv", ANY),
    ("Error: EACCES: permission denied, mkdir '/app/uploads'", "permission-denied", "/app/uploads", ANY),
    ("mkdir: can't create directory '/data/pg': Permission denied", "permission-denied", "/data/pg", ANY),
    (
        "chown: changing ownership of '/var/lib/mysql': Operation not permitted",
        "permission-denied",
        "/var/lib/mysql",
        ANY,
    ),
    (
        "java.nio.file.AccessDeniedException: /usr/share/elasticsearch/data/nodes",
        "permission-denied",
        "/usr/share/elasticsearch/data/nodes",
        ANY,
    ),
    (
        "System.UnauthorizedAccessException: Access to the path '/app/keys' is denied.",
        "permission-denied",
        "/app/keys",
        ANY,
    ),
    ("nginx: [emerg] bind() to 0.0.0.0:80 failed (13: Permission denied)", "permission-denied", "80", ANY),
    (
        'nginx: [emerg] mkdir() "/var/cache/nginx/client_temp" failed (13: Permission denied)',
        "permission-denied",
        "/var/cache/nginx/client_temp",
        ANY,
    ),
    ("listen tcp :80: bind: permission denied", "permission-denied", "80", ANY),
    ("GF_PATHS_DATA='/var/lib/grafana' is not writable.", "permission-denied", "/var/lib/grafana", ANY),
    (
        'initdb: error: could not change permissions of directory "/var/lib/postgresql/data": Operation not permitted',
        "permission-denied",
        "/var/lib/postgresql/data",
        ANY,
    ),
    ("OSError: [Errno 30] Read-only file system: '/app/cache'", "read-only-filesystem", "/app/cache", ANY),
    ("open /tmp/x.pid: read-only file system", "read-only-filesystem", "/tmp/x.pid", ANY),
    ("Error: EROFS: read-only file system, open '/app/log.txt'", "read-only-filesystem", "/app/log.txt", ANY),
    (
        'nginx: [emerg] mkdir() "/var/cache/nginx/client_temp" failed (30: Read-only file system)',
        "read-only-filesystem",
        "/var/cache/nginx/client_temp",
        ANY,
    ),
    ("touch: cannot touch '/data/x': Read-only file system", "read-only-filesystem", "/data/x", ANY),
    ("write /data/wal/00001: no space left on device", "disk-full", ANY, ANY),
    ("Error: ENOSPC: no space left on device, write", "disk-full", ANY, ANY),
    ('PANIC:  could not write to file "pg_wal/xlogtemp.29": No space left on device', "disk-full", ANY, ANY),
    (
        "blocked by: [TOO_MANY_REQUESTS/12/disk usage exceeded flood-stage watermark, index has read-only-allow-delete block]",
        "disk-full",
        ANY,
        ANY,
    ),
    ("accept4: too many open files", "file-limit", ANY, ANY),
    ("Error: ENOSPC: System limit for number of file watchers reached, watch '/app'", "file-limit", "inotify", ANY),
    ("failed to create fsnotify watcher: too many open files", "file-limit", ANY, ANY),
    ("Failed to create inotify instance: Too many open files", "file-limit", "inotify", ANY),
    (
        "max virtual memory areas vm.max_map_count [65530] is too low, increase to at least [262144]",
        "file-limit",
        "max_map_count",
        ANY,
    ),
    ("ERROR: cannot execute INSERT in a read-only transaction", "db-read-only", ANY, ANY),
    (
        "ERROR 1290 (HY000): The MySQL server is running with the --read-only option so it cannot execute this statement",
        "db-read-only",
        ANY,
        ANY,
    ),
    ("READONLY You can't write against a read only replica.", "db-read-only", ANY, ANY),
    ("MongoServerError: not primary", "db-read-only", ANY, ANY),
    ("sqlite3.OperationalError: attempt to write a readonly database", "db-read-only", ANY, ANY),
    ("FATAL:  sorry, too many clients already", "connections-exhausted", ANY, ANY),
    (
        "FATAL: remaining connection slots are reserved for non-replication superuser connections",
        "connections-exhausted",
        ANY,
        ANY,
    ),
    ("Error 1040: Too many connections", "connections-exhausted", ANY, ANY),
    ("HikariPool-1 - Connection is not available, request timed out after 30000ms.", "connections-exhausted", ANY, ANY),
    (
        "sqlalchemy.exc.TimeoutError: QueuePool limit of size 5 overflow 10 reached, connection timed out, timeout 30.00",
        "connections-exhausted",
        ANY,
        ANY,
    ),
    (
        "ActiveRecord::ConnectionTimeoutError: could not obtain a connection from the pool within 5.000 seconds",
        "connections-exhausted",
        ANY,
        ANY,
    ),
    (
        "KnexTimeoutError: Knex: Timeout acquiring a connection. The pool is probably full.",
        "connections-exhausted",
        ANY,
        ANY,
    ),
    ("ERR max number of clients reached", "connections-exhausted", ANY, ANY),
    ('ERROR:  relation "orders" does not exist at character 15', "schema-missing", "orders", ANY),
    ("Error 1146: Table 'shop.orders' doesn't exist", "schema-missing", ANY, ANY),
    ("sqlite3.OperationalError: no such table: users", "schema-missing", "users", ANY),
    ('FATAL:  database "shop" does not exist', "schema-missing", "shop", ANY),
    ("Error 1049: Unknown database 'cart'", "schema-missing", "cart", ANY),
    ("UnknownTopicOrPartitionException: This server does not host this topic-partition.", "schema-missing", ANY, ANY),
    ("ERROR: deadlock detected", "deadlock", ANY, ANY),
]

CONFIG = [
    ("required key DATABASE_URL missing value", "missing-env", "DATABASE_URL", ANY),
    ("Error: Missing required environment variable: STRIPE_KEY", "missing-env", "STRIPE_KEY", ANY),
    ("DATABASE_PASSWORD is not set", "missing-env", "DATABASE_PASSWORD", ANY),
    ("fatal: environment variable REDIS_HOST not set", "missing-env", "REDIS_HOST", ANY),
    ("2024/05/01 10:00:00 API_TOKEN must be set", "missing-env", "API_TOKEN", ANY),
    ("/docker-entrypoint.sh: line 12: DB_HOST: parameter not set", "missing-env", "DB_HOST", ANY),
    ("/start.sh: line 3: QUEUE_URL: unbound variable", "missing-env", "QUEUE_URL", ANY),
    (
        "thread 'main' panicked at src/main.rs:4:42: DATABASE_URL must be set: NotPresent",
        "missing-env",
        "DATABASE_URL",
        ANY,
    ),
    (
        "thread 'main' panicked at src/main.rs:4:42: called `Result::unwrap()` on an `Err` value: NotPresent",
        "missing-env",
        ANY,
        ANY,
    ),
    (
        "decouple.UndefinedValueError: SECRET_KEY not found. Declare it as envvar or define a default value.",
        "missing-env",
        "SECRET_KEY",
        ANY,
    ),
    (
        "django.core.exceptions.ImproperlyConfigured: Set the DJANGO_SECRET_KEY environment variable",
        "missing-env",
        "DJANGO_SECRET_KEY",
        ANY,
    ),
    ('key not found: "DATABASE_URL" (KeyError)', "missing-env", "DATABASE_URL", ANY),
    (
        '** (System.EnvError) could not fetch environment variable "SECRET_KEY_BASE" because it is not set',
        "missing-env",
        "SECRET_KEY_BASE",
        ANY,
    ),
    ("RuntimeError: No application encryption key has been specified.", "missing-env", "APP_KEY", ANY),
    ('env: required environment variable "PORT_NUMBER" is not set', "missing-env", "PORT_NUMBER", ANY),
    ("Error: Database is uninitialized and superuser password is not specified.", "missing-env", ANY, ANY),
    (
        "    You need to specify one of the following as an environment variable: - MYSQL_ROOT_PASSWORD",
        "missing-env",
        "MYSQL_ROOT_PASSWORD",
        ANY,
    ),
    (
        "System.InvalidOperationException: Environment variable 'ASB_CONNECTION' is missing.",
        "missing-env",
        "ASB_CONNECTION",
        ANY,
    ),
    (
        "Caused by: java.lang.IllegalArgumentException: Could not resolve placeholder 'payment.url' in value \"${payment.url}\"",
        "bad-config",
        "payment.url",
        ANY,
    ),
    (
        "Caused by: java.lang.IllegalArgumentException: Could not resolve placeholder 'DB_HOST' in value \"${DB_HOST}\"",
        "missing-env",
        "DB_HOST",
        ANY,
    ),
    ("yaml: line 4: mapping values are not allowed in this context", "bad-config", ANY, ANY),
    (
        'error loading config file "/etc/prometheus/prometheus.yml": parsing YAML file: yaml: unmarshal errors',
        "bad-config",
        ANY,
        ANY,
    ),
    ('nginx: [emerg] unknown directive "prox_pass" in /etc/nginx/conf.d/default.conf:3', "bad-config", ANY, ANY),
    ("*** FATAL CONFIG FILE ERROR (Redis 7.0.0) ***", "bad-config", ANY, ANY),
    ('strconv.Atoi: parsing "abc": invalid syntax', "bad-config", "abc", ANY),
    ("ValueError: invalid literal for int() with base 10: 'eighty'", "bad-config", "eighty", ANY),
    ("Failed to bind properties under 'server.port' to java.lang.Integer:", "bad-config", "server.port", ANY),
    (
        "Failed to configure a DataSource: 'url' attribute is not specified and no embedded datasource could be configured.",
        "bad-config",
        ANY,
        ANY,
    ),
    ("toml: line 3: expected '=' after a key", "bad-config", ANY, ANY),
    ('Error: Invalid configuration: field "listen" is required', "bad-config", ANY, ANY),
    ("sqlalchemy.exc.ArgumentError: Could not parse SQLAlchemy URL from string 'x'", "bad-config", ANY, ANY),
    (
        "RangeError [ERR_SOCKET_BAD_PORT]: options.port should be >= 0 and < 65536. Received type number (NaN).",
        "bad-config",
        ANY,
        ANY,
    ),
    ('Get "db:5432": unsupported protocol scheme "db"', "bad-config", ANY, ANY),
    ("Error: listen EADDRINUSE: address already in use :::3000", "port-in-use", "3000", ":3000"),
    ("listen tcp :8080: bind: address already in use", "port-in-use", "8080", ":8080"),
    ("OSError: [Errno 98] Address already in use", "port-in-use", ANY, ANY),
    ("Web server failed to start. Port 8080 was already in use.", "port-in-use", "8080", ":8080"),
    ("nginx: [emerg] bind() to 0.0.0.0:8081 failed (98: Address already in use)", "port-in-use", "8081", ":8081"),
    (
        "System.IO.IOException: Failed to bind to address http://0.0.0.0:5000: address already in use.",
        "port-in-use",
        "5000",
        ":5000",
    ),
    ("exec /usr/local/bin/app: exec format error", "exec-format", ANY, ANY),
    ("standard_init_linux.go:228: exec user process caused: exec format error", "exec-format", ANY, ANY),
    ("/bin/sh: 1: gunicorn: not found", "command-not-found", "gunicorn", ANY),
    ("bash: line 1: kubectl: command not found", "command-not-found", "kubectl", ANY),
    ('exec: "serve": executable file not found in $PATH', "command-not-found", "serve", ANY),
    ("exec /entrypoint.sh: no such file or directory", "command-not-found", "/entrypoint.sh", ANY),
    ("[FATAL tini (7)] exec /app/run failed: No such file or directory", "command-not-found", "/app/run", ANY),
    ('npm ERR! Missing script: "start"', "command-not-found", "start", ANY),
    ("ModuleNotFoundError: No module named 'requests'", "module-missing", "requests", ANY),
    ("Error: Cannot find module 'express'", "module-missing", "express", ANY),
    ("Error: Could not find or load main class com.shop.Main", "module-missing", "com.shop.Main", ANY),
    ("java.lang.NoClassDefFoundError: org/slf4j/LoggerFactory", "module-missing", "org/slf4j/LoggerFactory", ANY),
    (
        "./app: error while loading shared libraries: libssl.so.1.1: cannot open shared object file: No such file or directory",
        "module-missing",
        "libssl.so.1.1",
        ANY,
    ),
    ("cannot load such file -- sinatra (LoadError)", "module-missing", "sinatra", ANY),
    (
        "System.IO.FileNotFoundException: Could not load file or assembly 'Newtonsoft.Json, Version=13.0.0.0'",
        "module-missing",
        "Newtonsoft.Json",
        ANY,
    ),
    (
        "/lib/x86_64-linux-gnu/libc.so.6: version `GLIBC_2.34' not found (required by ./app)",
        "version-mismatch",
        "GLIBC_2.34",
        ANY,
    ),
    (
        "java.lang.UnsupportedClassVersionError: com/shop/Main has been compiled by a more recent version of the Java Runtime",
        "version-mismatch",
        ANY,
        ANY,
    ),
    ("FATAL:  database files are incompatible with server", "version-mismatch", ANY, ANY),
    ("flag provided but not defined: -listen-port", "usage-error", "listen-port", ANY),
    ("error: unknown flag: --metricz", "usage-error", "metricz", ANY),
    ("server.py: error: unrecognized arguments: --prot 80", "usage-error", "prot", ANY),
    ('Error: unknown command "sever" for "app"', "usage-error", "sever", ANY),
]

RUNTIME = [
    ("java.lang.OutOfMemoryError: Java heap space", "out-of-memory", "Java heap space", ANY),
    ("FATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory", "out-of-memory", ANY, ANY),
    ("MemoryError", "out-of-memory", ANY, ANY),
    ("fatal error: runtime: cannot allocate memory", "out-of-memory", ANY, ANY),
    ("terminate called after throwing an instance of 'std::bad_alloc'", "out-of-memory", ANY, ANY),
    (
        "PHP Fatal error:  Allowed memory size of 134217728 bytes exhausted (tried to allocate 20480 bytes) in /app/a.php on line 9",
        "out-of-memory",
        ANY,
        ANY,
    ),
    ("memory allocation of 8589934592 bytes failed", "out-of-memory", ANY, ANY),
    ("[CRITICAL] Worker (pid:9) was sent SIGKILL! Perhaps out of memory?", "out-of-memory", ANY, ANY),
    ("OOM command not allowed when used memory > 'maxmemory'.", "out-of-memory", ANY, ANY),
    ("Segmentation fault (core dumped)", "segfault", ANY, ANY),
    (
        "fatal error: unexpected signal during runtime execution [signal SIGSEGV: segmentation violation]",
        "segfault",
        ANY,
        ANY,
    ),
    ("#  SIGSEGV (0xb) at pc=0x00007f, pid=1, tid=7", "segfault", ANY, ANY),
    ("fatal error: all goroutines are asleep - deadlock!", "deadlock", ANY, ANY),
    ("AssertionError: expected 3 to equal 4", "assertion", ANY, ANY),
    ("app: main.c:12: main: Assertion `x > 0' failed.", "assertion", ANY, ANY),
    ("RangeError: Maximum call stack size exceeded", "panic", ANY, ANY),
    ("received SIGTERM, shutting down gracefully", "shutdown", ANY, ANY),
    ("[CRITICAL] WORKER TIMEOUT (pid:12)", "slow", ANY, ANY),
    (
        'pods "x" is forbidden: exceeded quota: compute, requested: cpu=1, used: cpu=4, limited: cpu=4',
        "quota",
        "compute",
        ANY,
    ),
]

ALL = [*NETWORK, *NAMES, *TLS, *PROTOCOLS, *AUTH, *STORAGE, *CONFIG, *RUNTIME]


@pytest.mark.parametrize(("line", "kind", "name", "peer"), ALL, ids=[f"{k}-{i}" for i, (_, k, _, _) in enumerate(ALL)])
def test_line_is_read_for_what_it_says(line: str, kind: str, name: str | None, peer: str | None) -> None:
    hits = digest([line.encode() + b"\n"], exit_code=1).hits
    assert hits, "no hit"
    hit = hits[0]
    assert hit.kind == kind
    assert hit.fatal or kind in ("shutdown", "slow")
    if name is not None:
        assert hit.name == name
    if peer is not None:
        told = "" if hit.peer is None else hit.peer.host + (f":{hit.peer.port}" if hit.peer.port else "")
        assert told == peer


@pytest.mark.parametrize("frame", ["json", "logfmt", "kubelet", "log4j", "zap"])
@pytest.mark.parametrize(
    ("line", "kind", "name", "peer"), ALL[::3], ids=[f"{k}-{i}" for i, (_, k, _, _) in enumerate(ALL[::3])]
)
def test_logger_around_a_line_changes_nothing(
    frame: str, line: str, kind: str, name: str | None, peer: str | None
) -> None:
    import json

    framed = {
        "json": json.dumps({"level": "error", "ts": 1714557600.5, "msg": "startup failed", "error": line}),
        "logfmt": f"time=2024-05-01T10:00:00Z level=error msg={json.dumps(line)}",
        "kubelet": f"2024-05-01T10:00:00.123456789Z {line}",
        "log4j": f"2024-05-01 10:00:00,123 ERROR [main] c.s.App - {line}",
        "zap": f"2024-05-01T10:00:00.123Z\tERROR\tapp/main.go:42\t{line}",
    }[frame]
    hits = digest([framed.encode()], exit_code=1).hits
    assert hits, "no hit"
    assert hits[0].kind == kind
    assert name is None or hits[0].name == name


def test_table_reaches_every_kind() -> None:
    assert {kind for _, kind, _, _ in ALL} == LOG_KINDS
    assert len({line for line, _, _, _ in ALL}) >= 150

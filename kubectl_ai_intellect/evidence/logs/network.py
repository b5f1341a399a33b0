"""Pattern table: connections, names and what stands between client and server.

Driven by mechanism: errno names and their strerror texts in every runtime's spelling, resolver errors, gRPC codes,
HTTP statuses of proxies, TLS alerts.
"""

from __future__ import annotations

from kubectl_ai_intellect.evidence.logs.rules import ERRNO, HINT, MECHANISM, WORDING, Rule, rule

__all__ = ["NETWORK"]

_DECIDES = ERRNO + 1  # says more than the errno that it carries
_HOST = r"[A-Za-z0-9_](?:[\w.\-]{0,252}\w)?"

_FAILED = r"(?:\b(?:fail(?:ed|s|ure|ing)?|errors?|unavailable|unreachable|gave up|giving up)\b|\bno (?:answer|response|reply)\b|\bnot (?:respond\w*|reachable|answer\w*))"
"""That something did not work, whatever it was."""
_INSIDE = r"(?P<host>[a-z][a-z0-9\-]{0,62}(?:\.[a-z0-9\-]{1,63}\.svc[\w.\-]{0,40})?)(?::(?P<port>\d{1,5}))?(?=[/\s\"'`,;)?]|$)"
"""A host name that a cluster's own DNS alone knows: one label, or one of a Service in full."""
_INSIDE_PORT = r"(?P<host>[a-z][a-z0-9\-]{1,62}):(?P<port>\d{2,5})\b"

_CONNECTION: tuple[Rule, ...] = (
    rule("connection-refused", ERRNO, "econnrefused", r"econnrefused"),
    rule(
        "connection-refused",
        ERRNO,
        "connection refused|connectionrefused",
        r"connection ?refused(?:error|exception)?\b(?!_)",
    ),
    rule("connection-refused", ERRNO, "actively refused", r"actively refused"),
    rule("connection-refused", ERRNO, "connect", r"connect[^\n]{0,160}(?:errno:? ?|error |\(|code: )111\b"),
    rule("connection-refused", ERRNO, "errno 111", r"errno 111\b"),
    rule(
        "connection-refused",
        MECHANISM,
        "port",
        rf"failed to connect to (?P<host>{_HOST}) port (?P<port>\d+)[^\n]{{0,60}}(?:couldn't|could not) connect",
    ),
    rule("connection-refused", ERRNO, "connect call failed", r"connect call failed"),
    rule("connection-refused", MECHANISM, "layer4 connection problem", r"layer4 connection problem"),
    rule(
        "connection-refused",
        MECHANISM,
        "could not be established",
        r"connection to node -?\d+ \((?P<host>[\w.\-]+)?/?[\d.]*:(?P<port>\d+)\) could not be established",
        scheme="kafka",
    ),
    rule(
        "connection-refused",
        ERRNO,
        " refused",
        rf"connection to (?:{_HOST}|\[[\da-f:]+\]):\d+ refused",
        scheme="",
    ),
    rule(
        "connection-refused",
        WORDING,
        "connection was refused|refused connection|refused the connection|connect: refused|connection has been refused",
        r"(?:connection (?:was|has been|is being) refused|refused (?:the |our )?connection|connect: refused)",
    ),
    rule("connection-refused", WORDING, "tns:no listener|ora-12541", r"tns:\s?no listener|ora-12541"),
    rule("connection-timeout", ERRNO, "etimedout|esockettimedout", r"e(?:socket)?timedout"),
    rule("connection-timeout", ERRNO, "connection timed out|connectiontimedout", r"connection ?timed out"),
    rule("connection-timeout", ERRNO, "i/o timeout", r"i/o timeout"),
    rule("connection-timeout", ERRNO, "connect", r"connect[^\n]{0,160}(?:errno:? ?|\(|code: )110\b"),
    rule(
        "connection-timeout",
        ERRNO,
        "connect timed out|connection timed out|connectiontimeout|connect timeout|connecttimeout|dial timeout|connection timeout|connection attempt timed out",
        r"(?:connect(?:ion)?(?: attempt)?|dial)(?:ing)? ?time(?:d ?)?-?out",
    ),
    rule(
        "connection-timeout",
        MECHANISM,
        "client.timeout|waiting for connection",
        r"client\.timeout(?: or context cancellation)? (?:exceeded )?while|request canceled while waiting for connection",
    ),
    rule(
        "connection-timeout",
        MECHANISM,
        "read timed out|readtimeout|read timeout|read time out",
        r"read ?time(?:d ?| ?)?out",
    ),
    rule(
        "connection-timeout",
        MECHANISM,
        "timed out",
        r"(?:connect|dial|reach|resolv|handshak|respon|upstream|server selection)[^\n]{0,120}timed out",
    ),
    rule(
        "connection-timeout",
        MECHANISM,
        "timeout expired",
        r"(?:connection|connect|port \d+)[^\n]{0,60}timeout expired",
        scheme="postgres",
    ),
    rule(
        "connection-timeout",
        MECHANISM,
        "did not properly respond",
        r"did not properly respond after a period of time",
    ),
    rule(
        "connection-timeout",
        MECHANISM,
        "timeout during connection|httpclient.timeout|timed out trying to connect|timeout connecting|connecting timed out|connection to the server timed out",
        r"timeout during connection|httpclient\.timeout|timed out trying to connect|timeout connecting|timed out connecting|connection to the server timed out",
    ),
    rule(
        "connection-timeout",
        MECHANISM,
        "connecttimeouterror|headerstimeouterror|und_err_",
        r"(?:Connect|Headers|Body)TimeoutError|und_err_(?:connect|headers|body)_timeout",
    ),
    rule(
        "connection-timeout",
        WORDING,
        "context deadline exceeded",
        r"(?:dial|Get \"|Post \"|Put \"|connect|https?://)[^\n]{0,300}context deadline exceeded",
    ),
    rule(
        "connection-timeout",
        WORDING,
        "deadline has elapsed|deadlineexceeded|deadline exceeded",
        r"deadline has elapsed|code = deadlineexceeded|deadline_exceeded",
    ),
    rule(
        "connection-timeout",
        WORDING,
        "operation timed out|timed out|operation has timed out|request timed out|timed out after",
        r"(?:operation|request|connection|connecting)[^\n]{0,60} timed out|urlopen error (?:_ssl[^\n]{0,40}|the \w+ operation )?timed out"
        r"|\b(?:error|failed|failure|exception|cannot|could not)\b[^\n]{0,200}://[^\n]{0,200}\btimed out",
    ),
    rule(
        "connection-timeout",
        HINT,
        "timed out|timeout",
        r"\b(?:timeout|timed out) (?:while |when )?(?:waiting for|connecting|reading|talking|contacting)",
    ),
    rule("connection-timeout", HINT, "timeouterror|timeoutexception", r"\b\w*Timeout(?:Error|Exception)\b"),
    rule("connection-reset", ERRNO, "econnreset|econnaborted", r"econn(?:reset|aborted)"),
    rule(
        "connection-reset",
        ERRNO,
        "connection reset|connectionreset",
        r"connection ?reset(?: by peer)?|connection was reset",
    ),
    rule("connection-reset", MECHANISM, "socket hang up", r"socket hang up"),
    rule(
        "connection-reset",
        MECHANISM,
        "closed the connection|prematurely closed|forcibly closed|connection aborted|remotedisconnected|closed by peer|closed by remote|closed by the remote",
        r"(?:server|peer|remote(?: host| end)?|upstream|broker) (?:un\w+ |prematurely )?closed (?:the )?connection|closed connection without response|forcibly closed|connection aborted|remotedisconnected|closed by (?:the )?(?:peer|remote)",
    ),
    rule(
        "connection-reset",
        MECHANISM,
        "lost connection to|unexpected end of|gone away|empty reply|recv failure|unexpected end of stream|header parser received no bytes|premature eof|premature end of",
        r"lost connection to \w+ server|server has gone away|empty reply from server|recv failure|unexpected end of stream on |header parser received no bytes|premature (?:eof|end of)",
    ),
    rule(
        "connection-reset",
        MECHANISM,
        "connection unexpectedly|terminating connection due to",
        r"connection (?:was |has been )?(?:unexpectedly|abnormally) (?:closed|terminated|lost)|terminating connection due to",
    ),
    # Alone it is what a server meets when its client hangs up; of a peer it tells where the line names an errand.
    rule(
        "connection-reset",
        WORDING,
        "broken pipe|epipe",
        r"(?!.*\bto client\b)(?:server|upstream|broker|database|connection|request to|publish\w*|redis|writing to socket|://)[^\n]{0,200}"
        r"(?:broken pipe|\bepipe\b)|(?:broken pipe|\bepipe\b)[^\n]{0,80}(?:upstream|to server|to broker|://)",
    ),
    rule(
        "connection-reset",
        WORDING,
        "unexpected eof",
        r"(?:read|recv|dial|get \"|post \"|connection|error)[^\n]{0,200}unexpected eof",
    ),
    rule("no-route", ERRNO, "ehostunreach|enetunreach|ehostdown|enetdown", r"e(?:host|net)(?:unreach|down)"),
    rule("no-route", ERRNO, "no route to host|noroutetohost", r"no ?route ?to ?host"),
    rule(
        "no-route",
        ERRNO,
        "unreachable",
        r"(?:network|host|destination(?: host)?|destination net) (?:is )?unreachable",
    ),
    rule("no-route", ERRNO, "host is down", r"host is down"),
    rule("no-route", ERRNO, "connect", r"connect[^\n]{0,160}(?:errno:? ?|\(|code: )113\b"),
)

_NAMES: tuple[Rule, ...] = (
    rule(
        "dns-failure",
        _DECIDES,
        "lookup ",
        rf"lookup (?P<host>{_HOST})\.?(?: on (?P<server>[\d.a-f\[\]:]+):53)?: [^\n]{{0,200}}?(?:no such host|server misbehaving|i/o timeout|connection refused|try again|no answer|cannot unmarshal|temporary failure|network is unreachable|context deadline|operation was canceled|no such domain)",
    ),
    rule(
        "dns-failure",
        _DECIDES,
        "getaddrinfo",
        rf"getaddrinfo (?:enotfound|eai_again|eai_noname|eai_fail|enoent|eservfail|etimeout|enodata) (?P<host>{_HOST})",
    ),
    rule(
        "dns-failure",
        _DECIDES,
        "query",
        rf"query(?:a|aaaa|srv|any|txt)? (?:enotfound|eservfail|etimeout|enodata|eai_again|econnrefused) (?P<host>{_HOST})",
    ),
    rule(
        "dns-failure",
        _DECIDES,
        "getaddrinfo",
        rf"getaddrinfo(?: for|\()?[ '\"(]{{0,3}}(?P<host>{_HOST})['\")]{{0,2}}[^\n]{{0,40}}(?:failed|name|not known|error|temporary)",
    ),
    rule(
        "dns-failure",
        _DECIDES,
        "translate host name",
        r"could not translate host name [\"'\\]*(?P<host>[^\"'\s\\]+)[\"'\\]* to address",
    ),
    rule(
        "dns-failure",
        _DECIDES,
        "resolve host|resolve proxy|resolve hostname|resolve '|resolve \"|resolve name|resolve address|resolve: |resolve ",
        rf"(?:could ?n[o']t|cannot|can't|failed to|unable to|error|failure)[ -]{{1,2}}resolve:?(?: (?:host(?: ?name)?|proxy|name|address(?: for)?|the host|dns(?: name)?|domain|server|service|url|broker))?:? {{0,2}}[\"'`]?(?!placeholder|symbol|import|module|reference|version|depend|config|type|variable|property|path|class|all|the |any|parameter|view|plugin|merge|entry|circular|component)(?P<host>{_HOST})(?::(?P<port>\d{{2,5}}))?[\"'`]?(?:[\s:,.;)\]]|$)",
    ),
    rule("dns-failure", _DECIDES, "unknownhostexception", rf"unknownhostexception: (?P<host>{_HOST})"),
    rule(
        "dns-failure",
        _DECIDES,
        "unknown host|unknown mysql server host|unknown server host",
        r"unknown (?:mysql )?(?:server )?host[ :]{1,2}[\"'`]?(?P<host>[\w.\-]+)",
    ),
    rule(
        "dns-failure",
        _DECIDES,
        "host not found in upstream",
        r"host not found in (?:upstream|resolver) [\"'](?:\[?(?P<host>[\w.\-]+))(?::(?P<port>\d+))?",
    ),
    rule(
        "dns-failure",
        _DECIDES,
        "could not be resolved|cannot be resolved|not be resolved",
        rf"[\"'`]?(?P<host>{_HOST})[\"'`]? (?:could|can) ?not be resolved(?: \(|:| by|$|\.)",
    ),
    rule(
        "dns-failure",
        _DECIDES,
        "bad address",
        r"(?:bad address|forward host lookup failed)[ :]{1,2}[\"'`](?P<host>[\w.\-]+)(?::(?P<port>\d+))?[\"'`]",
    ),
    rule(
        "dns-failure",
        _DECIDES,
        "name or service not known|temporary failure in name resolution|no address associated with hostname|nodename nor servname|name does not resolve",
        r"error -\d connecting to (?P<host>[\w.\-]+):(?P<port>\d+)",
    ),
    rule(
        "dns-failure",
        _DECIDES,
        "failed to resolve",
        r"failed to resolve '(?P<host>[\w.\-]+)(?::(?P<port>\d+))?'",
    ),
    rule(
        "dns-failure",
        _DECIDES,
        "nodename nor servname|name or service not known|temporary failure in name resolution|no address associated with|name does not resolve|name resolution|try again",
        r"name or service not known|temporary failure in name resolution|nodename nor servname|no address associated with (?:host)?name|name does not resolve|name resolution (?:failed|failure|error|timed out|in progress failed)",
    ),
    rule(
        "dns-failure",
        _DECIDES,
        "failed to lookup address|look up address|could not look up|dns error|dns lookup|dns resolution|dns query|dns_error",
        r"failed to lookup address information|(?:could not|failed to|unable to) look ?up (?:host|address)|dns error:|dns (?:lookup|resolution|query)(?: for \S{1,200})? (?:failed|failure|error|timed out|timeout)",
    ),
    rule(
        "dns-failure",
        _DECIDES,
        "nxdomain",
        rf"(?:can't find|find|host|lookup|for|resolve|resolving|of) (?:host |name )?[\"'`]?(?!host\b|name\b)(?P<host>{_HOST})[\"'`]?[^\n]{{0,40}}nxdomain",
    ),
    rule("dns-failure", ERRNO, "nxdomain|servfail", r"\bnxdomain\b|\bservfail\b"),
    rule(
        "dns-failure",
        ERRNO,
        "enotfound|eai_again|eai_noname|eai_fail",
        r"enotfound|eai_again|eai_noname|eai_fail",
    ),
    rule("dns-failure", ERRNO, "no such host", r"no such host"),
    rule(
        "dns-failure",
        ERRNO,
        "hostname could not|not resolve host|no dns records|no servers found in dns|dns seed",
        r"no dns records|dns seed list",
    ),
    rule(
        "dns-failure",
        MECHANISM,
        "[fatal] plugin/loop|plugin/loop",
        r"plugin/loop: loop[^\n]{0,40}detected",
        name="loop",
    ),
    rule(
        "dns-failure",
        _DECIDES + 1,
        "plugin/errors",
        r"plugin/errors: \d+ (?P<host>[\w.\-]+?)\.? [A-Z]+: [^\n]{0,120}?(?:->(?P<server>[\d.]{7,15}):53)[^\n]{0,40}?(?:timeout|refused|unreachable|misbehaving)",
    ),
)

_BETWEEN: tuple[Rule, ...] = (
    rule(
        "http-upstream",
        MECHANISM,
        "upstream",
        r"no live upstreams|upstream sent (?:invalid|too big|no valid)|upstream connect error or disconnect|upstream server temporarily disabled|(?<!desc = )no healthy upstream|upstream request timeout|all upstreams? (?:servers? )?(?:are )?(?:down|failed)",
    ),
    rule(
        "http-upstream",
        MECHANISM,
        "no server available|is down|has no server available|backend",
        r"(?:backend|proxy) '?(?P<name>[\w.\-/]+)'? has no server available|server (?P<name2>[\w.\-]+/[\w.\-]+) is down, reason",
    ),
    rule(
        "http-upstream",
        MECHANISM,
        "upstream_|50",
        r"upstream_(?:reset|connect)\w*|\b50[234] (?:U[FHCTORX]{1,2}|URX|NR|LR|DC|NC)\b",
    ),
    rule(
        "http-upstream",
        MECHANISM,
        "502|503|504",
        r"(?:status(?:[ _]?code)?|http|code|response|returned|responded(?: with)?|received|got)[\"']?[ :=]{1,3}(?:http/[\d.]{1,3} )?[\"']?50[234]\b",
    ),
    rule(
        "http-upstream",
        MECHANISM,
        "bad gateway|service unavailable|gateway timeout|gateway time-out|serviceunavailable|badgateway",
        r"50[234][ :\-\"(]{0,4}(?:bad gateway|service (?:temporarily )?unavailable|gateway time-?out)|service temporarily unavailable",
    ),
    rule(
        "http-upstream",
        WORDING,
        "bad gateway|service unavailable|gateway timeout|gateway time-out",
        r"bad gateway|service unavailable|gateway time-?out",
    ),
    rule(
        "grpc-unavailable",
        WORDING,
        "unavailable",
        r"code ?= ?unavailable|statuscode[.=]{1,2}unavailable|unavailable: (?:io exception|no healthy|connection|keepalive|name resolver|http status)|grpc: the connection is unavailable|14 unavailable|status: unavailable|code: 'unavailable'",
    ),
    rule(
        "rate-limited",
        MECHANISM,
        "429|too many requests|toomanyrequests",
        r"(?:status|http|code|error|got|returned)[^\n]{0,30}\b429\b|429 too many|too ?many ?requests",
    ),
    rule(
        "rate-limited",
        MECHANISM,
        "rate limit|ratelimit|rate-limit|throttl|slow down|slowdown|quota exceeded for|resource_exhausted|resourceexhausted",
        r"rate[ -]?limit(?:ed|ing)?(?: was| has been)? (?:exceeded|reached|hit)|exceeded[^\n]{0,30}rate limit|you are being rate limited|ratelimit(?:error|exception|ed)|throttl(?:ing|ed)(?:exception|error)|(?:request|call)s? (?:was|were|is|are|been) throttled|client[ -]side throttling|slowdown\b|code ?= ?resourceexhausted|provisionedthroughputexceeded",
    ),
    rule(
        "dependency-missing",
        WORDING,
        "waiting for|wait for|wait-for",
        r"(?:still |timed? ?out |timeout )?(?:waiting|wait)[ -]for[ -](?P<name>(?:host |tcp |service |database |the )?(?!connections?\b|requests?\b|messages?\b|jobs?\b|events?\b|signal|shutdown|client|exit|caches?\b|tasks?\b|work\b|it\b|leader\b)[A-Za-z][\w.\-]{1,100}(?::\d+)?)(?: to (?:be|become|start|come|accept)|\.{2,}| ready| service|$)",
    ),
    rule(
        "dependency-missing",
        WORDING,
        "not ready|not available|unavailable|not reachable|is not up|not yet",
        r"(?P<name>(?:database|db|postgres\w*|mysql|mariadb|redis|kafka|mongo\w*|rabbitmq|elasticsearch|broker|backend|server|vault|etcd|consul)(?: (?:server|host|service|system|cluster))?) (?:is |was )?(?:still )?(?:not (?:yet )?(?:ready|available|reachable|up)|unavailable|unreachable)",
    ),
    rule(
        "dependency-missing",
        WORDING,
        "communications link failure|no nodes available|no living connections|no available broker|could not find a coordinator|cannot connect to|can't connect to|could not connect to|unable to connect to|failed to connect to|not possible to connect|failed connecting to|error connecting to|cannot reach|unable to reach|can't reach|could not reach",
        r"communications link failure|none of the configured nodes|no nodes available|no living connections|no available brokers?|run out of available brokers|(?:can(?:'t|not)|could ?n(?:o|')t|unable to|failed to|not possible to|error|failed) (?:re)?(?:connect(?:ing)?|reach(?:ing)?) (?:to )?(?:the )?(?:host |server |service )?(?P<name>[\w][\w.\-:/@]{0,100})?",
    ),
    rule(
        "dependency-missing",
        WORDING,
        "no response|rejecting connections|not accepting connections|starting up|is loading|loading redis|not currently accepting",
        r"(?P<host>[\w.\-]+):(?P<port>\d{2,5}) - (?:no response|rejecting connections)|not (?:currently )?accepting connections|(?:database system|server|node|cluster) is (?:still )?(?:starting up|initializing|in recovery mode)|loading redis is loading|loading the dataset in memory",
    ),
    rule(
        "dependency-missing",
        WORDING,
        "eureka|config server|connection to the bootstrap",
        r"cannot execute request on any known server|could not locate propertysource|connection to the bootstrap",
    ),
    # In words of their own: a failure, and an address that can only be one of this cluster.
    rule(
        "dependency-missing",
        WORDING,
        "fail|error|unreachable|unavailable|no answer|no response|no reply|gave up|giving up|not respond|not answer|not reachable",
        rf"^(?![^\n]*\b50[0234]\b)[^\n]*?(?:{_FAILED}[^\n]{{0,80}}?\b[a-z][a-z0-9+.\-]{{1,20}}://{_INSIDE}|\b[a-z][a-z0-9+.\-]{{1,20}}://{_INSIDE.replace('host', 'host2').replace('port', 'port2')}[^\n]{{0,80}}?{_FAILED})",
    ),
    rule(
        "dependency-missing",
        WORDING,
        "fail|error|unreachable|unavailable|no answer|no response|no reply",
        rf"(?:to|from|calling|reaching|contacting|of|at) {_INSIDE_PORT}[^\n]{{0,40}}?{_FAILED}|{_FAILED}[^\n]{{0,40}}? (?:to|from|calling|reaching|contacting|at) {_INSIDE_PORT.replace('host', 'host2').replace('port', 'port2')}",
    ),
    rule(
        "dependency-missing",
        WORDING,
        "not available|unavailable|unreachable|not reachable|not responding|is down",
        r"(?<![\w./\-])(?P<name>[a-z][a-z0-9]*(?:-[a-z0-9]+)+)(?: service)?(?: is| was)?(?: still)? (?:unreachable|unavailable|not (?:available|reachable|responding)|down)\b",
    ),
    rule("connection-timeout", WORDING, "context deadline exceeded", r"context deadline exceeded"),
    rule("connection-timeout", ERRNO, "download timed out", r"wget: download timed out"),
    rule(
        "http-upstream",
        ERRNO,
        "requested url returned error",
        r"curl: \(22\) the requested url returned error: 50[234]",
    ),
    rule(
        "leader-lost",
        MECHANISM,
        "leader",
        r"leader ?election lost|lost (?:the )?(?:leader|master) ?(?:election|lease|ship)?|failed to renew lease|stopped leading|no longer (?:the )?leader|leaderelection lost|leader changed|etcdserver: (?:no leader|leader changed)|not the leader|no leader elected",
    ),
    rule("leader-lost", MECHANISM, "renew lease|etcdserver: request timed out", r"failed to renew lease"),
)

NETWORK: tuple[Rule, ...] = _CONNECTION + _NAMES + _BETWEEN

"""Pattern table: TLS handshakes and certificates, and ends that speak different protocols."""

from __future__ import annotations

from kubectl_ai_intellect.evidence.logs.rules import ERRNO, MECHANISM, Rule, rule

__all__ = ["PROTOCOLS"]

_DECIDES = ERRNO + 1  # says more than the errno that it carries

_TLS: tuple[Rule, ...] = (
    rule(
        "tls-failed",
        _DECIDES,
        "expired|not yet valid",
        r"(?:x509|certificate|cert|tls|ssl)[^\n]{0,120}(?:has|is|have) (?:already )?(?:expired|not yet valid)",
        name="expired",
    ),
    rule(
        "tls-failed",
        _DECIDES,
        "cert_has_expired|certificate_expired|certificateexpired|notafter|certexpired",
        r"cert_has_expired|certificate_?expired(?:exception)?|notafter: |certexpired",
        name="expired",
    ),
    rule(
        "tls-failed",
        _DECIDES,
        "unknown authority|unknown ca|unknown_ca|unknownissuer|self signed|self-signed|self_signed|unable to get local issuer|unable_to_get_issuer|unable to verify the first|unable_to_verify|pkix path|untrusted root|partialchain|unable to find valid certification|not trusted|unable to get issuer|untrustedroot|partialchain",
        r"unknown (?:certificate )?authority|unknown[ _]ca\b|unknownissuer|self[ \-_]signed[ _]certificate|(?:depth_zero_)?self_signed_cert|unable[ _]to[ _]get[ _](?:local[ _])?issuer|unable[ _]to[ _]verify[ _](?:the[ _]first|leaf)|pkix path (?:building|validation)|untrusted ?root|partialchain|unable to find valid certification|certificate (?:is )?not trusted",
        name="unknown-authority",
    ),
    rule(
        "tls-failed",
        _DECIDES,
        "certificate is valid for|doesn't contain any ip sans|hostname mismatch|hostname/ip|altname|no alternative certificate|no subject alternative|doesn't match|does not match|certificate is not valid for|remotecertificatenamemismatch|notvalidforname|no name matching",
        r"certificate is (?:not )?valid for|doesn't contain any ip sans|(?:hostname|certificate name) mismatch|does not match certificate'?s altnames|err_tls_cert_altname_invalid|no alternative certificate subject|no subject alternative|no name matching \S{1,200} found|(?:hostname|certificate|host name)[^\n]{0,120}does(?:n't| not) match|remotecertificatenamemismatch|notvalidforname|cannot validate certificate for",
        name="wrong-host",
    ),
    rule(
        "tls-failed",
        _DECIDES,
        "protocol version|protocol_version|unsupported protocol|unsupported versions|no protocols available|no shared cipher|cipher|legacy renegotiation|inappropriate fallback|protocol not supported",
        r"(?:tls|ssl)[^\n]{0,120}(?:protocol[ _]version|unsupported[ _]protocol|unsupported versions|no shared cipher|inappropriate fallback)|no appropriate protocol|unsupported protocol version|sslv3 alert|no[ _]ciphers?[ _](?:suites? in common|match)|no cipher suites in common|unsafe legacy renegotiation",
        name="protocol",
    ),
    rule(
        "tls-failed",
        ERRNO,
        "bad certificate|bad_certificate|certificate required|certificate_required|certificate verify failed|certificate_verify_failed|unknown certificate",
        r"(?:tls|ssl|alert|x509)[^\n]{0,120}(?:bad[ _]certificate|certificate[ _]required|certificate[ _]unknown|unknown certificate)|certificate[ _]verify[ _]failed",
        name="unknown-authority",
    ),
    rule(
        "tls-failed",
        ERRNO,
        "handshake",
        r"(?:tls|ssl|security)[^\n]{0,60}handshake[^\n]{0,40}(?:fail|error|timeout|timed out|alert|eof)|handshake_failure|sslhandshakeexception|handshake failure|authentication handshake failed",
        name="handshake",
    ),
    rule(
        "tls-failed",
        MECHANISM,
        "private key|keystore|no certificate|tls:|ssl_ctx|certificate",
        r"tls: (?:failed to find any pem|private key does not match|failed to parse private key|failed to verify)|private key does not match|key values mismatch|ssl_ctx_use_\w+ ?(?:file)?\S* failed|no certificate or crl found|(?:cannot|could not|failed to) load (?:server |client |tls |ssl )?(?:certificate|key ?pair)|bad_certificate",
        name="handshake",
    ),
    rule("tls-failed", MECHANISM, "x509:", r"x509: (?!.{0,40}unused)\w", name="handshake"),
    rule(
        "tls-failed",
        MECHANISM,
        "ssl peer certificate|ssl connection could not be established|ssl_error|ssl routines|secure channel",
        r"ssl peer certificate|ssl connection could not be established|ssl_error_\w+|ssl routines:|could not create ssl/tls secure channel",
        name="handshake",
    ),
)

_PROTOCOL: tuple[Rule, ...] = (
    rule(
        "protocol-mismatch",
        _DECIDES,
        "does not look like a tls handshake",
        r"does not look like a tls handshake",
        name="plain-to-tls",
    ),
    rule(
        "protocol-mismatch",
        _DECIDES,
        "http response to https client|http request to an https server|plain http request was sent to https port|http request was sent to https",
        r"http response to https client|http request to an https server|plain http request was sent to (?:an )?https port",
        name="plain-to-tls",
    ),
    rule(
        "protocol-mismatch",
        _DECIDES,
        "wrong version number|wrong_version_number|packet length too long|http_request|err_ssl_protocol|unrecognized ssl message|not an ssl/tls record",
        r"wrong[ _]version[ _]number|packet[ _]length[ _]too[ _]long|ssl routines[^\n]{0,80}http[ _]request|err_ssl_(?:wrong_version|protocol)\w*|unrecognized ssl message|not an ssl/tls record",
        name="plain-to-tls",
    ),
    rule(
        "protocol-mismatch",
        _DECIDES,
        "malformed http",
        r"malformed http (?:response|request|status|version)",
        name="http",
    ),
    rule(
        "protocol-mismatch",
        _DECIDES,
        "connection preface|bogus greeting|server preface|http/1.x|http/0.9|http2 frame|http2: ",
        r"(?:error reading server preface|bogus greeting|connection preface|received http/0\.9|http/0\.9 when not allowed|http/1\.x transport connection broken: malformed|http2: frame too large|failed reading the frame payload: http2|unexpected http status code received from server)",
        name="http2",
    ),
    rule(
        "protocol-mismatch",
        MECHANISM,
        "parse error",
        r"parse error: expected http/|hpe_invalid_\w+",
        name="http",
    ),
    rule(
        "protocol-mismatch",
        MECHANISM,
        "hpe_invalid|invalid http version|invalid http request|bad http/0.9|bad request version|invalid character found in method name|invalid method encountered|unsupported frame type|not speak|is not a redis|unknown protocol|server sent unexpected|amqp0",
        r"hpe_invalid_\w+|invalid http (?:version|request received)|bad (?:http/0\.9 request|request version)|invalid character found in method name|invalid method encountered|unknown protocol[: ]|bad_header",
        name="http",
    ),
    rule(
        "protocol-mismatch",
        MECHANISM,
        "malformed packet|got packets out of order|invalid startup packet|unsupported frontend protocol|received invalid response to ssl|invalid length of startup|protocol error, got|does not support ssl|invalidreceiveexception|invalid receive|not a valid mysql",
        r"malformed packet|packets out of order|invalid (?:length of )?startup packet|unsupported frontend protocol|received invalid response to ssl negotiation|protocol error, got|invalid(?: )?receive(?:exception)? ?[:(]",
        name="database",
    ),
    rule(
        "protocol-mismatch",
        MECHANISM,
        "unencrypted data after|unexpected protocol|unsupported protocol version|protocol negotiation|alpn",
        r"unencrypted data after ssl request|unexpected protocol (?:version|response)|(?:protocol|alpn) negotiation (?:failed|error)|no application protocol",
    ),
    rule(
        "protocol-mismatch",
        MECHANISM,
        "server does not support ssl|ssl is not enabled on the server|the server does not support ssl|server doesn't support ssl|no encryption|ssl off",
        r"(?:server|it) (?:does not|doesn't) support ssl|ssl is not enabled on the server",
        name="tls-to-plain",
    ),
)

PROTOCOLS: tuple[Rule, ...] = _TLS + _PROTOCOL

"""Pattern table: how a process itself ends or fails to keep up: memory, crashes, assertions, signals."""

from __future__ import annotations

from kubectl_ai_intellect.evidence.logs.rules import ERRNO, HINT, MECHANISM, WORDING, Rule, rule

__all__ = ["CHILD", "RUNTIME"]

_DECIDES = ERRNO + 1
CHILD = "a process of its own"
"""What a hit names when not the container's first process was killed: the kubelet does not see that."""

RUNTIME: tuple[Rule, ...] = (
    rule(
        "out-of-memory",
        _DECIDES,
        "outofmemory",
        r"(?<![A-Za-z+])outofmemory(?:error|exception)(?:: (?P<name>java heap space|metaspace|gc overhead limit exceeded|direct buffer memory|compressed class space|unable to create (?:new )?native thread|requested array size))?",
    ),
    rule(
        "out-of-memory",
        _DECIDES,
        "heap out of memory|heap limit|allocation failed|reached heap limit",
        r"javascript heap out of memory|reached heap limit|ineffective mark-compacts|allocation failed - [^\n]{0,40}heap",
        name="JavaScript heap",
    ),
    rule("out-of-memory", _DECIDES, "memoryerror", r"\bmemoryerror\b"),
    rule("out-of-memory", _DECIDES, "std::bad_alloc|bad_alloc", r"std::bad_alloc|\bbad_alloc\b"),
    rule(
        "out-of-memory",
        ERRNO,
        "cannot allocate memory|enomem|can't allocate memory|out of memory|failed to allocate memory|allowed memory size|nomemoryerror|memory exhausted|insufficient memory|memory allocation of|unable to allocate",
        r"cannot allocate memory|can't allocate memory|\benomem\b|(?:runtime: |error: |fatal error: |killed process \d+[^\n]{0,40}|^|: )out of memory\b|failed to allocate (?:memory|\d+)|allowed memory size of \d+ bytes exhausted|nomemoryerror|memory exhausted|insufficient memory for the java|memory allocation of \d+ bytes failed|unable to allocate [\d.]+ ?[kmg]i?b",
    ),
    rule(
        "out-of-memory",
        ERRNO,
        "oom command not allowed|circuit_breaking|circuitbreaking|data too large|maxmemory|cuda out of memory|cuda error: out of memory",
        r"oom command not allowed|circuit_?breaking_?exception|\[parent\] data too large|cuda (?:error: )?out of memory",
    ),
    rule(
        "out-of-memory",
        MECHANISM,
        "was sent sigkill|perhaps out of memory|signal: killed|killed process|oom-kill|oom_kill|oomkill|oom killer|signal 9",
        r"was sent sigkill! perhaps out of memory|out of memory: kill(?:ed)? process|oom[-_ ]?kill(?:ed|er)\b|(?:terminated|killed|exited) (?:by|with|on) signal:? ?(?:9\b|kill|sigkill)",
        name=CHILD,
    ),
    rule(
        "segfault",
        _DECIDES,
        "sigsegv|segmentation fault|segmentation violation|invalid memory address|sigbus|bus error|sigill|illegal instruction|core dumped|access violation|accessviolationexception",
        r"sigsegv|segmentation (?:fault|violation)|\bsigbus\b|bus error|\bsigill\b|illegal instruction|invalid memory address or nil pointer|accessviolationexception|a fatal error has been detected by the java runtime",
    ),
    rule(
        "segfault",
        MECHANISM,
        "signal 11|signal 7|double free|heap corruption|stack smashing|free(): invalid|malloc(): |corrupted size",
        r"signal 11\b|double free or corruption|stack smashing detected|free\(\): invalid|malloc\(\): |corrupted size vs",
    ),
    rule(
        "assertion",
        WORDING,
        "assert",
        r"assertion [^\n]{0,160}failed|assertionerror|assertion failed|assert(?:ion)? fail(?:ed|ure)|java\.lang\.assertionerror|debug_assert|check failed:",
    ),
    rule("assertion", MECHANISM, "check failed", r"check failed: "),
    rule("deadlock", _DECIDES, "all goroutines are asleep", r"all goroutines are asleep"),
    rule(
        "panic",
        MECHANISM,
        "stack overflow|stackoverflow|maximum call stack|maximum recursion|stack level too deep",
        r"stackoverflow(?:error|exception)?|goroutine stack exceeds|stack overflow|maximum call stack size|maximum recursion depth|stack level too deep",
    ),
    rule("panic", MECHANISM, "concurrent map", r"concurrent map (?:writes|read|iteration)"),
    rule(
        "slow",
        WORDING,
        "slow|took too long|latency|took ",
        r"slow (?:query|request|log|sql|fdatasync|disk|response|operation|command)|took too long|apply request took|latency[^\n]{0,40}(?:above|over|exceed|high|too)|high latency|(?:request|query|call|operation|handler|processing)[^\n]{0,60} took (?:\d{2,}(?:\.\d+)? ?s(?:ec)?|\d{5,} ?ms)",
    ),
    rule(
        "slow",
        WORDING,
        "worker timeout|gc pause|long gc|event loop|can't keep up|lagging|falling behind|backpressure|queue is full|queue full|thread starvation|clock leap|blocked for|thread blocked",
        r"worker timeout|(?:long|excessive) gc|gc pause|event loop (?:lag|delay|block)|can't keep up|falling behind|(?:queue|buffer|backlog) (?:is )?full|thread starvation|has been blocked for \d+|detected pause in jvm",
    ),
    rule(
        "shutdown",
        WORDING,
        "sigterm|sigint|signal 15|signal: terminated|terminated|graceful|shutting down|shutdown",
        r"(?:received|caught|got|handling|signal)[^\n]{0,30}(?:sigterm|sigint|signal 15|signal: ?terminated|terminat(?:e|ion) signal|term signal)|sigterm received|signal 15|graceful(?:ly)?[ -]?(?:shut|stop|exit|terminat)\w*|received (?:fast|smart|immediate) shutdown request|shutting down gracefully|server (?:is )?shutting down|shutdown signal received",
    ),
    rule(
        "panic",
        HINT,
        "fatal python error|unhandled|uncaught|panicked|panic:|fatal error|fatal exception|aborted|terminate called",
        r"fatal python error|unhandled (?:exception|rejection|promise|error)|unhandledpromiserejection|uncaught(?: \w+)?(?:exception|error)?|panicked at|\bpanic: |fatal error[: ]|terminate called|\*\* \((?:exit|\w*error)\)|init terminating in do_boot",
    ),
    rule(
        "panic",
        HINT,
        "traceback (most recent call last)|exception in thread|application run failed|worker failed to boot|failed to start|exited with|crashed",
        r"traceback \(most recent call last\)|exception in thread|application run failed|worker failed to boot|(?:application|server|service|process)[^\n]{0,40}(?:failed to start|crashed|terminated unexpectedly)",
    ),
)

"""Pattern table: programs, modules, versions, command lines and the port a program listens on."""

from __future__ import annotations

from kubectl_ai_intellect.evidence.logs.rules import ERRNO, MECHANISM, Rule, rule

__all__ = ["PROGRAMS"]

_DECIDES = ERRNO + 1

PROGRAMS: tuple[Rule, ...] = (
    rule(
        "exec-format",
        _DECIDES,
        "exec format error|enoexec|cannot execute binary file|wrong elf class|bad cpu type|invalid elf header|ld-linux|qemu-|rosetta error",
        r"exec format error|enoexec|cannot execute binary file|wrong elf class|invalid elf header|rosetta error|qemu-\w+: could not open",
    ),
    rule(
        "command-not-found",
        _DECIDES,
        "executable file not found",
        r"exec: [\"'\\]*(?P<name>[^\"'\s\\:]+)[\"'\\]*: executable file not found",
    ),
    rule(
        "command-not-found",
        _DECIDES,
        "not found",
        r"(?:^|[\s\]])(?:/[\w/.\-]*/)?(?:ba|da|a|z|k|)sh: (?:line )?(?:\d+: )?(?:exec: )?(?P<name>[^\s:]+): (?:command )?not found",
    ),
    rule(
        "command-not-found",
        _DECIDES,
        "not found",
        r"^[\w/.\-]+: (?:line )?\d+: (?:exec: )?(?P<name>[^\s:]+): (?:command )?not found",
    ),
    rule(
        "command-not-found",
        _DECIDES,
        "command not found",
        r"(?P<name>[^\s:]+): command not found|command not found: (?P<name2>\S+)",
    ),
    rule(
        "command-not-found",
        _DECIDES + 1,
        "no such file or directory",
        r"(?:^|[\s\]])(?:exec|(?:/usr/bin/)?env:|standard_init_linux\.go:\d+: exec user process caused:?|exec user process)(?: failed)? ?[\"'‘`]?(?P<name>[^\s:\"'’`]*)[\"'’`]?(?: failed)?:? \"?no such file or directory",
    ),
    rule(
        "command-not-found",
        _DECIDES + 1,
        "can't execute|cannot execute|cannot run|failed to exec|unable to start",
        r"(?:can't|cannot|could not|failed to|unable to) (?:exec(?:ute)?|run|start|spawn|find command):? ?(?:program |command |process )?[\"'`‘]?(?P<name>[^\s\"'`’:]+)[\"'`’]?:? [^\n]{0,60}(?:no such file|not found)",
    ),
    rule("command-not-found", _DECIDES + 1, "spawn", r"spawn (?P<name>\S+) enoent"),
    rule(
        "command-not-found",
        _DECIDES,
        'npm err|missing script|command "|unknown command',
        r"missing script:? [\"']?(?P<name>[\w:.\-]+)",
    ),
    rule(
        "command-not-found",
        _DECIDES,
        "no module named",
        r"(?:/[\w/.\-]*)?python[\d.]*: no module named (?P<name>[\w.]+)",
    ),
    rule(
        "module-missing",
        _DECIDES,
        "modulenotfounderror|no module named",
        r"(?:modulenotfound|import)error: no module named '?(?P<name>[\w.]+)",
    ),
    rule(
        "module-missing",
        _DECIDES,
        "import|module not found|not found",
        r"(?:could not|cannot|failed to|unable to|error) import(?:ing)?(?: (?:module|app(?:lication)?|package))? ?[\"'`]?(?P<name>[\w.:/@\-]+)|module (?:[\"'`](?P<name2>[\w./@\-]+)[\"'`] )?not found(?:: (?P<name3>[\w./@\-]+))?",
    ),
    rule(
        "module-missing",
        _DECIDES,
        "importerror|cannot import name",
        r"importerror: (?:cannot import name '?(?P<name>\w+)|(?P<name2>lib[\w.+\-]+))|failed to find (?:application|attribute)[^\n]{0,40}'(?P<name3>\w+)'",
    ),
    rule(
        "module-missing",
        _DECIDES,
        "cannot find module|cannot find package|err_module_not_found|module_not_found|could not resolve",
        r"cannot find (?:module|package) '(?P<name>[^'\n]{1,300})'|err_module_not_found|code: 'module_not_found'",
    ),
    rule(
        "module-missing",
        _DECIDES,
        "cannot load such file|could not find gem|bundler::gemnotfound|could not find",
        r"cannot load such file -- (?P<name>[\w./\-]+)|could not find (?:gem '(?P<name2>[\w\-]+)|(?P<name3>[\w\-]+-[\d.]+) in)|bundler::gemnotfound",
    ),
    rule(
        "module-missing",
        _DECIDES,
        "classnotfoundexception|noclassdeffounderror|could not find or load main class|no main manifest|nosuchmethoderror|unsatisfiedlinkerror",
        r"(?:classnotfoundexception|noclassdeffounderror|could not find or load main class):? (?P<name>[\w./$]+)|no main manifest attribute,? in (?P<name2>\S+)|unsatisfiedlinkerror: (?P<name3>\S+)",
    ),
    rule(
        "module-missing",
        _DECIDES + 1,
        "shared librar|shared object|could not load file or assembly|symbol lookup error|dllnotfoundexception|unable to load shared library|relocation error",
        r"(?P<name>lib[\w.+\-]+\.so[\w.]*): cannot open shared object|error loading shared library (?P<name2>\S+?):|could not load file or assembly '(?P<name3>[\w.\-]+)|symbol lookup error: (?P<name4>\S+?):|unable to load shared library '(?P<name5>[\w.\-]+)|error relocating (?P<name6>\S+?):",
    ),
    rule(
        "module-missing",
        _DECIDES,
        "not found",
        r"(?:class|interface|trait) [\"'\\]*(?P<name>[\w\\]+)[\"'\\]* not found(?: in /|$)|call to undefined function (?P<name2>[\w\\]+)|unable to load dynamic library '(?P<name3>[\w.]+)",
    ),
    rule(
        "module-missing",
        _DECIDES,
        "can't locate|@inc|framework 'microsoft|you must install|application to execute does not exist|undefinedfunctionerror",
        r"can't locate (?P<name>[\w/.]+) in @inc|framework: '(?P<name2>[\w.]+)'|you must install or update \.net|undefinedfunctionerror\) function (?P<name3>[\w./]+) is undefined",
    ),
    rule(
        "version-mismatch",
        _DECIDES,
        "glibc|glibcxx|unsupportedclassversionerror|class file version|compiled by a more recent",
        r"version `(?P<name>glibc(?:xx)?_[\d.]+)' not found|unsupportedclassversionerror|class file version \d+|compiled by a more recent version",
    ),
    rule(
        "version-mismatch",
        MECHANISM,
        "incompatible|version|api version",
        r"(?:incompatible|mismatched|unsupported|wrong)[^\n]{0,40}\bversion\b|version (?:mismatch|conflict|is (?:too old|not supported|incompatible))|database files are incompatible with server|(?:data|files?)[^\n]{0,60}initialized by postgresql version|requires (?:python|node|java|php|ruby|go)[ \w>=<.'\"]{0,30}\d|unsupported engine|upgrade (?:is )?not supported|no matches for kind|invalid server version|dirty database version|(?:found|detected) (?:applied )?migrations? [^\n]{0,40}(?:checksum|not resolved)|migration checksum mismatch",
    ),
    rule(
        "version-mismatch",
        MECHANISM,
        "no matches for kind|could not find the requested resource",
        r"no matches for kind \"(?P<name>\w+)\" in version|the server could not find the requested resource",
    ),
    rule(
        "usage-error",
        MECHANISM,
        "flag|argument|option|unknown command|unrecognized|usage",
        r"(?:flag provided but not defined|unknown (?:shorthand )?flag|unknown (?:command|subcommand|argument|option|switch)|unrecogni[sz]ed (?:arguments?|option|command|parameter|subcommand)|unexpected argument|illegal option|invalid option|invalid flag|invalid argument \"[^\"\n]{0,80}\" for|no such option|bad (?:flag|option)|found argument|unrecognized vm option|required (?:flag|option|argument)(?:\(s\)|s)?|ambiguous option|option requires an argument|the following arguments are required|does not (?:take|accept) (?:an? )?(?:argument|value))[ :'\"`=-]{0,6}(?P<name>--?[\w\-.]+|[\w\-.]+)?",
    ),
    rule(
        "usage-error",
        MECHANISM,
        "flag|argument|option|operand|invalid choice",
        r"unknown (?:long |short )?(?:flag|option)s?:? ?['\"`]?(?P<name>-{0,2}[\w\-]+)|(?:argument|option|flag) ['\"`]?(?P<name2>-{1,2}[\w\-]+)[^\n]{0,60}(?:requires|needs|expects|is missing|missing|cannot be used|conflicts?)|too (?:many|few) (?:positional )?arguments|(?:missing|expected)(?: \d+| at least \d+| required)? (?:positional )?(?:arguments?|operand)\b|invalid choice: '(?P<name3>[^'\n]{1,60})'",
    ),
    rule(
        "usage-error",
        MECHANISM,
        "required flag|arguments are required|required arguments were not",
        r"required flag\(s\) \"(?P<name>[\w\-]+)|the following (?:required )?arguments (?:are required|were not provided):?\s*(?P<name2>[<\w\-]+)?",
    ),
    rule(
        "usage-error",
        MECHANISM,
        "could not create the java virtual machine|unrecognized vm option|invalid maximum heap|unrecognized option",
        r"unrecognized (?:vm )?option:? '?(?P<name>[\w\-+:=]+)|invalid (?:maximum|initial) heap size|could not create the java virtual machine",
    ),
    rule(
        "port-in-use",
        ERRNO,
        "address already in use|eaddrinuse|addrinuse|address in use|os error 98",
        r"(?:listen|bind|bound|port|:|addr(?:ess)?)[^\n]{0,80}?[: ](?!98\b)(?P<port>\d{2,5})\b[^\n]{0,80}?(?:address (?:already )?in use|eaddrinuse)",
    ),
    rule(
        "port-in-use",
        ERRNO,
        "address already in use|eaddrinuse|addrinuse|address in use",
        r"(?:address (?:already )?in use|eaddrinuse|addrinuse)(?:[^\n\d]{0,40}(?:[\d.]{7,15}|\[?::\]?|\*|localhost)?:(?P<port>\d{2,5})\b)?",
    ),
    rule(
        "port-in-use",
        ERRNO,
        "already in use|is in use",
        r"port:? {0,2}(?P<port>\d{2,5})\b[^\n]{0,60}(?:is |was )?(?:already )?(?:in use|being used|used by|taken|occupied|bound)",
    ),
    rule(
        "port-in-use",
        ERRNO,
        "failed to bind to address|only one usage of each socket|could not bind|cannot bind|failed to bind",
        r"(?:failed to|could not|cannot|unable to) bind to (?:address )?\S{0,60}?:(?P<port>\d{2,5})|only one usage of each socket address",
    ),
)

"""Pattern table: configuration, environment, command lines, programs and modules that should be there."""

from __future__ import annotations

from kubectl_ai_intellect.evidence.logs.rules import ERRNO, HINT, MECHANISM, WORDING, Rule, rule

__all__ = ["CONFIG"]

_DECIDES = ERRNO + 1
_Q = r"[\"'`‘“\\(\[{<$%]{0,3}"
_E = r"[\"'`’”\\)\]}>%]{0,3}"
_VAR = r"(?P<name>(?-i:[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+|[A-Z][A-Z0-9]{2,}))"
_SNAKE = r"(?P<name>(?-i:[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+))"
_ANY = r"(?P<name>[A-Za-z_][\w.\-]{1,100})"
_ENV = r"(?:env(?:ironment|iron)?(?:[ -]?(?:var(?:iable)?s?|keys?|parameters?))|envs?|environment)"
_THING = r"(?:value|variable|config|setting|parameter|key|secret|option)"
_UNSET = (
    r"(?:not (?:been )?(?:set|defined|found|provided|specified|configured|present|given|supplied|available|exported)(?! by)"
    r"|un(?:set|defined)|missing|empty|blank|required|null|mandatory|absent)"
)

_ENVIRONMENT: tuple[Rule, ...] = (
    rule("missing-env", _DECIDES, "required key", rf"required key {_Q}{_ANY}{_E} missing value"),
    rule(
        "missing-env",
        _DECIDES,
        "required environment variable|env: |environment variable|env var",
        rf"required {_ENV}:? {_Q}{_ANY}{_E} is (?:not set|missing|empty)",
    ),
    rule(
        "missing-env",
        _DECIDES,
        "keyerror",
        rf"keyerror: {_Q}{_VAR}{_E}",
        context=r"environ|\bos\.py|<frozen os>|getenv|decouple|settings|config|\benv\b",
    ),
    rule(
        "missing-env",
        _DECIDES,
        "key not found",
        rf"key not found: {_Q}{_VAR}{_E}",
        context=r"keyerror|\bfetch\b|\benv\b",
    ),
    rule(
        "missing-env",
        _DECIDES,
        "environment variable not found|notpresent|could not find environment variable|environment variable",
        rf"could not (?:find|fetch) {_ENV} {_Q}{_ANY}{_E}",
    ),
    rule(
        "missing-env",
        _DECIDES,
        "environment variable not found|notpresent",
        rf"{_SNAKE}[^\n]{{0,60}}(?:environment variable not found|notpresent)",
    ),
    rule(
        "missing-env",
        ERRNO,
        "environment variable not found|notpresent",
        r"environment variable not found|\bnotpresent\b",
    ),
    rule("missing-env", _DECIDES, "missing value for", rf"missing value for (?:field|key) {_Q}{_ANY}{_E}"),
    rule("missing-env", _DECIDES, "could not expand value", rf"could not expand value {_VAR}"),
    rule("missing-env", MECHANISM, "invalid environment variable", r"invalid environment variables?\b"),
    rule("missing-env", _DECIDES, "not found", rf"{_Q}{_VAR}{_E} not found\. declare it as envvar"),
    rule(
        "missing-env",
        _DECIDES,
        "env",
        rf"{_ENV}\s*(?::|,|=|called|named|are|is)?\s*{_Q}{_VAR}{_E}(?:[^\n.]{{0,60}}?)\b(?:{_UNSET}|must|needs|expected)\b",
    ),
    rule(
        "missing-env", _DECIDES, "env", rf"{_Q}{_VAR}{_E}[^\n.]{{0,40}}?{_ENV}[^\n.]{{0,30}}\b(?:{_UNSET}|must|needs)\b"
    ),
    rule(
        "missing-env",
        _DECIDES,
        "env",
        rf"\b(?:missing|undefined|unset|required|no|empty|need|expect(?:ed|s|ing)?|requires?|mandatory|provide|must set|please set|set the|specify|define|export|without|absent|lack(?:s|ing))(?: (?:the|a|an|value for|required|mandatory|following|value of|or invalid|or empty|all))* {_ENV}[^\n]{{0,24}}?[:,\s]\s*{_Q}{_VAR}",
    ),
    rule(
        "missing-env",
        _DECIDES,
        "env",
        rf"(?:set|provide|define|specify|export|missing|requires?) (?:the |a |an )?(?:value (?:for|of) )?{_Q}{_VAR}{_E} (?:in |as |through |via |with )?(?:the |your |an? )?{_ENV}",
    ),
    rule(
        "missing-env",
        MECHANISM,
        "not |unset|undefined|missing|empty|blank|required|null|mandatory|absent",
        rf"(?<![\w/.:\-]){_Q}{_SNAKE}{_E}:? (?:{_THING} )?(?:is |was |are |has been |cannot be |can't be |should not be |must not be )?(?:a |an )?{_UNSET}\b(?! by| in (?:the )?(?:cache|registry|db|database))",
    ),
    rule(
        "missing-env",
        MECHANISM,
        "must|needs|has to|should|have to|isn't|wasn't",
        rf"(?<![\w/.:\-]){_Q}{_SNAKE}{_E}:? (?:{_THING} )?(?:must|needs? to|has to|should|have to|is required to)(?: be)? (?:set|defined|provided|specified|configured|present|given|supplied|exported|non-?empty|not be (?:empty|null|blank)|exist|contain a value)|{_Q}(?P<name2>(?-i:[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)){_E} (?:isn't|wasn't|hasn't been) (?:set|defined|provided|configured)",
    ),
    rule(
        "missing-env",
        MECHANISM,
        "not set|unset|unbound variable|parameter null",
        rf"(?:line \d+: )?{_VAR}: (?:parameter (?:null or )?not set|unbound variable|{_UNSET})",
    ),
    rule(
        "missing-env",
        MECHANISM,
        "unbound variable|parameter not set",
        r"(?P<name>\w+): (?:unbound variable|parameter (?:null or )?not set)",
    ),
    rule(
        "missing-env",
        MECHANISM,
        "missing|required|must|undefined|unset|need|please|expected",
        rf"(?:missing|requires?|required|must (?:set|provide|specify|define)|please (?:set|provide|specify|define)|undefined|unset|need|no value for|expected)(?: (?:a|an|the|either|config(?:uration)?|setting|variable|value(?: for)?|parameter|required|to (?:set|be set)|be|option))*:? {_Q}{_SNAKE}(?!\()",
    ),
    rule(
        "missing-env",
        _DECIDES,
        "validation error",
        r"\d+ validation errors? for \w*(?:settings|config|env)\w*",
        context=r"field required|type=missing|value_error\.missing",
    ),
    rule(
        "missing-env",
        MECHANISM,
        "field required",
        r"field required",
        context=r"validation errors? for \w*(?:settings|config|env)\w*|pydantic_settings|basesettings",
    ),
    rule(
        "missing-env",
        MECHANISM,
        "improperlyconfigured|runtimeerror|valueerror",
        rf"improperlyconfigured: (?:set the )?{_Q}{_SNAKE}{_E}",
    ),
    rule(
        "missing-env",
        MECHANISM,
        "must be specified|you need to specify|is uninitialized|password option is not specified|not specified",
        r"you need to specify one of the following[^\n]{0,80}|(?:database is uninitialized and )?(?:superuser )?password (?:option )?is not specified",
    ),
    rule(
        "missing-env",
        MECHANISM,
        "must specify|environment variable",
        rf"(?:you )?must specify a non-empty value for {_Q}{_VAR}|you must specify {_Q}(?P<name2>[A-Z_]{{3,}})",
    ),
    rule(
        "missing-env",
        MECHANISM,
        "null|exception",
        rf"(?:argumentnull|configuration|invalidoperation)\w*exception[^\n]{{0,100}}?{_Q}{_SNAKE}",
    ),
    rule("missing-env", MECHANISM, "secret_key_base", r"missing `?(?P<name>secret_key_base)`?"),
    rule(
        "missing-env",
        MECHANISM,
        "no application encryption key",
        r"no application encryption key has been specified",
        name="APP_KEY",
    ),
    rule("missing-env", _DECIDES + 1, "placeholder", rf"could not resolve placeholder '{_VAR}'"),
    rule(
        "missing-env",
        MECHANISM,
        "env",
        rf"{_ENV} \S{{1,80}} (?:is )?{_UNSET}|{_UNSET} {_ENV}\b",
    ),
    rule(
        "missing-env",
        MECHANISM,
        "env",
        rf"(?:required|missing|no such) {_ENV}[^\n]{{0,40}}?{_Q}(?P<name>[A-Za-z_]\w{{2,80}}){_E}(?:$|[\s.,])",
    ),
)

_SETTINGS: tuple[Rule, ...] = (
    rule("bad-config", _DECIDES, "placeholder", rf"could not resolve placeholder '{_ANY}'"),
    rule(
        "bad-config",
        _DECIDES,
        "failed to bind properties",
        r"failed to bind properties under '(?P<name>[\w.\-\[\]]+)'",
    ),
    rule(
        "bad-config",
        _DECIDES,
        "failed to configure a datasource|'url' attribute is not specified",
        r"failed to configure a datasource|'url' attribute is not specified",
        name="spring.datasource.url",
    ),
    rule(
        "bad-config",
        _DECIDES,
        "nginx|[emerg]|directive",
        r"\[emerg\][^\n]{0,40} (?:unknown directive|invalid (?:number|parameter|value|port|condition)|unexpected|directive|duplicate|no \"|\"[\w_]+\" directive|invalid)[^\n]{0,120}?(?: in (?P<name>/[^\s:]+):\d+)?$",
    ),
    rule(
        "bad-config",
        _DECIDES,
        "parsing [|parsing file|fatal config file|fatal error, can't open config|bad directive|bad configuration|config file line",
        r"(?:\*\*\* fatal config file error|bad directive or wrong number of arguments|\[alert\][^\n]{0,40}parsing \[|error\(s\) found in configuration file)",
    ),
    rule(
        "bad-config",
        MECHANISM,
        "config|yaml|toml|json|properties|ini|settings",
        r"(?:fail(?:ed|ure)|error|unable|could not|cannot|can't|invalid|problem|fatal)[^\n]{0,30}(?:parse|pars(?:ing|e error)|unmarshal(?:l?ing)?|decod(?:e|ing)|load(?:ing)?|read(?:ing)?|deserializ\w+|validat\w+|process\w*)[^\n]{0,40}(?:config(?:uration)?|settings|yaml|toml|ya?ml file|\.properties|properties file|\.ini|\.env)\b",
    ),
    rule(
        "bad-config",
        MECHANISM,
        "yaml",
        r"yaml: (?:line \d+|unmarshal errors?|mapping|did not|control|found|could not|unknown|invalid)|yaml\.(?:scanner|parser|constructor)\.\w+error|error converting yaml|yamlexception|snakeyaml[\w.]*exception|mapping values are not allowed|did not find expected|could not find expected ':'|found character '.{1,3}' that cannot start",
    ),
    rule(
        "bad-config",
        MECHANISM,
        "toml",
        r"tomldecodeerror|toml: (?:line|expected|cannot|unexpected|invalid)|toml parse error|invalid toml",
    ),
    rule(
        "bad-config",
        MECHANISM,
        "directive|config|setting|option|property|parameter|value",
        r"(?:invalid|illegal|malformed|bad|unknown|unrecogni[sz]ed|unsupported|incorrect|unexpected)[ -](?:\w+ ){0,2}(?:config(?:uration)?|settings?|option|property|directive|config(?:uration)? (?:key|value|file|option|field))\b(?:[ :'\"`]{1,3}(?P<name>[A-Za-z_][\w.\-]{1,100}))?",
    ),
    rule(
        "bad-config",
        MECHANISM,
        "config",
        r"config(?:uration)?(?: file)?(?: \S{1,200})? (?:is |was )?(?:invalid|malformed|not valid|incorrect|could not be (?:parsed|loaded|read)|has errors|contains errors|failed validation|validation (?:failed|error))",
    ),
    rule(
        "bad-config",
        MECHANISM,
        "config",
        r"(?:config(?:uration)? (?:error|exception|problem|failure)|configerror|configurationerror|configexception|configurationexception|invalidconfig\w*|misconfigur\w+|error in (?:the )?config)",
    ),
    rule("bad-config", MECHANISM, "improperlyconfigured", r"improperlyconfigured"),
    rule(
        "bad-config",
        MECHANISM,
        "syntax error on line|syntax error in",
        r"syntax error (?:on line \d+ of|in) (?P<name>/[^\s:]+)",
    ),
    rule("bad-config", MECHANISM, "unknown variable", r"\[error\][^\n]{0,60}unknown variable '(?P<name>[\w\-]+)"),
    rule(
        "bad-config",
        MECHANISM,
        "invalid duration|in duration",
        r"time: (?:invalid duration|(?:unknown|missing) unit)[^\n]{0,40}?\"(?P<name>[^\"\n]{1,60})\"$|(?:invalid|illegal|malformed|bad) (?:duration|time ?span|cron expression)",
    ),
    rule("bad-config", MECHANISM, "validation error", r"\d+ validation errors? for \w+", context=r"settings|config"),
    rule(
        "bad-config",
        MECHANISM,
        "required setting|missing|not set|not configured|required property|required config|required option|required parameter|missing required|is required",
        rf"(?:missing (?:required|mandatory) (?:setting|property|config(?:uration)?|option|parameter|field|key|argument|value)s?|(?:setting|property|config(?:uration)?(?: key| value| option)?|option|parameter|field|key) {_Q}{_ANY}{_E} (?:is |was |has )?(?:required|missing|mandatory|not set|not configured|empty|invalid))",
    ),
    rule(
        "bad-config",
        MECHANISM,
        "missing required configuration|no default value",
        rf"missing required configuration {_Q}{_ANY}",
    ),
    rule(
        "bad-config",
        MECHANISM,
        "connection string|database_url|sqlalchemy url|rfc1738|connectionstring|dsn|database url",
        r"(?:invalid|malformed|missing|empty|no|format of)[^\n]{0,30}(?:connection ?string|\bdsn\b|data source name|database url)|(?:connection ?string|dsn|database[ _]url)[^\n]{0,60}(?:is |was )?(?:invalid|malformed|missing|empty|null|not (?:set|initialized|valid|found|configured|specified))|could not parse (?:sqlalchemy|rfc1738) url|format of the initialization string",
    ),
    rule(
        "bad-config",
        MECHANISM,
        "parse",
        r"(?:cannot|can't|could not|failed to|unable to|error) (?:parse|parsing|convert|decode)[^\n]{0,60}(?:port|duration|integer|int\b|bool(?:ean)?|number|url|address|timeout|level|float|size|cron|uri)\b",
    ),
    rule(
        "bad-config",
        MECHANISM,
        "parsing|strconv|parseint|parsebool|parsefloat|invalid syntax",
        r"strconv\.\w+: parsing \"?(?P<name>[^\"\n]{0,60})\"?: (?:invalid syntax|value out of range)|envconfig\.process: assigning (?P<name2>\w+)",
    ),
    rule(
        "bad-config",
        MECHANISM,
        "invalid literal for int|numberformatexception|for input string",
        r"invalid literal for int\(\) with base \d+: '(?P<name>[^'\n]{0,60})'|numberformatexception: (?:for input string: \"?(?P<name2>[^\"\n]{0,60}))?",
    ),
    rule(
        "bad-config",
        MECHANISM,
        "invalid port|port number|not a valid port|err_socket_bad_port|invalid address|invalid listen|missing port in address|too many colons|unknown log level|invalid log level|not a valid logrus|unrecognized level|invalid value",
        r"invalid port(?: number| value|\b)|port (?:number )?out of range|not a valid port|port should be|err_socket_bad_port|missing port in address|too many colons in address|(?:unknown|invalid|unrecognized|not a valid logrus) (?:log(?:ging)? ?)?level|invalid value (?:for|of|\")",
    ),
    rule(
        "bad-config",
        MECHANISM,
        "unsupported protocol scheme|invalid url|invalid uri|no scheme supplied|missing protocol scheme|unknown scheme|missingschema|relative url without a base|invalidurl|illegal character in",
        r"unsupported protocol scheme|invalid ur[li]\b|no (?:scheme|host) supplied|missing protocol scheme|unknown scheme|missingschema|relative url without a base|err_invalid_url|illegal character in (?:authority|path|query|scheme)|first path segment in url cannot contain colon",
    ),
    rule(
        "bad-config",
        MECHANISM,
        "jsondecodeerror|json|unexpected token",
        r"(?:config|settings|\.json|appsettings)[^\n]{0,120}(?:unexpected token|unexpected end of json|invalid character|jsondecodeerror|parse error|not valid json|jsonreaderexception|could not parse)|(?:invalid character|unexpected token)[^\n]{0,80}(?:config|settings|\.json\b)",
    ),
    rule(
        "bad-config",
        WORDING,
        "jsondecodeerror|unexpected end of json|invalid json|json.parse",
        r"jsondecodeerror|unexpected end of json input|json\.parse|is not valid json",
        context=r"config|settings|\.json|startup|main|env",
    ),
    rule(
        "bad-config",
        MECHANISM,
        "unknown field|unknown key|unknown keys|unrecognizedpropertyexception|additional properties|not allowed here|unknown variant|missing field|field ",
        r"(?:unknown (?:field|variant) [\"'`](?P<name>[\w.\-]+)|unknown configuration|missing field [\"'`](?P<name2>[\w.\-]+)|field (?P<name3>\w+) not found in type|unrecognizedpropertyexception|has invalid keys: (?P<name4>[\w.,\- ]+)|additional propert(?:y|ies) [^\n]{0,80}not allowed)",
    ),
    rule(
        "bad-config",
        MECHANISM,
        "no configuration setting|configuration setting|no bean|unsatisfied|required a bean|beancreationexception|unsatisfieddependency",
        r"no configuration setting found for key '(?P<name>[\w.\-]+)'|required a bean (?:of type|named) '(?P<name2>[\w.$\-]+)'|no qualifying bean of type '(?P<name3>[\w.$]+)'|no (?:active|such) profile",
    ),
    rule(
        "bad-config",
        MECHANISM,
        "corefile|caddyfile|unknown directive|plugin",
        r"(?:corefile|caddyfile)(?:_\w+|:\d+)?[^\n]{0,60}(?:error|unknown|unexpected|wrong)|unknown directive '?(?P<name>[\w\-]+)",
    ),
    rule(
        "bad-config",
        WORDING,
        "config",
        r"(?:invalid|bad|wrong|broken|error)[^\n]{0,20}\bconfig(?:uration)?\b|\bconfig(?:uration)?\b[^\n]{0,20}\b(?:invalid|error|failed)\b",
    ),
    rule(
        "bad-config",
        HINT,
        "invalid|illegal|malformed",
        r"(?:illegalargumentexception|argumentexception|valueerror)[^\n]{0,120}(?:config|propert|setting|option|url|port\b)",
    ),
)

CONFIG: tuple[Rule, ...] = _ENVIRONMENT + _SETTINGS

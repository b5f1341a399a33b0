"""Pattern table: who is refused, by a database, a broker, the cluster's API or a cloud."""

from __future__ import annotations

from kubectl_ai_intellect.evidence.logs.rules import ERRNO, HINT, MECHANISM, WORDING, Rule, rule

__all__ = ["AUTH"]

_DECIDES = ERRNO + 1

AUTH: tuple[Rule, ...] = (
    rule(
        "forbidden",
        _DECIDES + 1,
        "cannot ",
        r"user \\?[\"'](?P<user>[^\"'\\\n]{1,200})\\?[\"'] cannot (?P<verb>[\w*]+) resource \\?[\"'](?P<resource>[\w./*\-]+)\\?[\"'](?: in api group \\?[\"'](?P<group>[\w.\-]*)\\?[\"'])?",
    ),
    rule(
        "forbidden",
        _DECIDES + 1,
        "cannot ",
        r"user \\?[\"'](?P<user>[^\"'\\\n]{1,200})\\?[\"'] cannot (?P<verb>\w+) (?:path )?\\?[\"']?(?P<resource>[\w./*\-]+)",
    ),
    rule(
        "forbidden",
        ERRNO,
        "is forbidden|403",
        r"(?P<name>[\w.\-/]+(?: \"[\w.\-]+\")?) is forbidden: (?!exceeded quota)",
    ),
    rule(
        "forbidden",
        MECHANISM,
        "forbidden",
        r"(?:kubernetes|apiserver|api server|kube|serviceaccount|client-go|/apis?/)[^\n]{0,160}(?:403|forbidden)",
    ),
    rule("quota", _DECIDES + 1, "exceeded quota", r"exceeded quota: (?P<name>[\w.\-]+)"),
    rule(
        "quota",
        MECHANISM,
        "quota|limitexceeded",
        r"quota[^\n]{0,40}(?:exceeded|exhausted|reached)|exceed(?:ed|s)[^\n]{0,40}quota|quotaexceeded\w*|limitexceeded(?:exception)?|servicequotaexceeded",
    ),
    rule(
        "cloud-denied",
        _DECIDES,
        "accessdenied|access denied|not authorized to perform|unauthorizedoperation|is not authorized",
        r"(?:is |are )?not authorized to perform:? ?(?P<name>[\w:\-*]+)|accessdenied(?:exception)?\b(?!exception: /)(?=[^\n]{0,300}(?:s3|aws|arn|amazon|operation|status code|request id|role|sts|dynamodb|sqs|kms))|an error occurred \((?:accessdenied|unauthorizedoperation|authfailure|403)\w*\)[^\n]{0,60}(?:calling the (?P<name2>\w+))?|unauthorizedoperation",
    ),
    rule(
        "cloud-denied",
        _DECIDES,
        "webidentity|assumerole|nocredentialproviders|unable to locate credentials|no valid credential|unable to load credentials|invalidclienttokenid|expiredtoken|could not load credentials|credentialsprovidererror|signaturedoesnotmatch|invalidaccesskeyid|unrecognizedclient|failed to retrieve credentials|no ec2 imds|failed to refresh cached credentials|unable to load aws",
        r"assumerolewithwebidentity|nocredentialproviders|unable to locate credentials|no valid (?:credential|providers)[^\n]{0,40}|unable to load (?:aws )?credentials|invalidclienttokenid|expiredtoken(?:exception)?\b|could not load credentials from any|credentialsprovidererror|signaturedoesnotmatch|invalidaccesskeyid|unrecognizedclientexception|no ec2 imds role|failed to (?:retrieve|refresh cached) credentials",
    ),
    rule(
        "cloud-denied",
        _DECIDES,
        "permission_denied|iam_permission_denied|googleapi|does not have|caller does not have permission|default credentials|defaultcredentialserror|compute metadata",
        r"(?:googleapi: error 403[^\n]{0,160})?does not have (?:permission )?(?P<name>[\w]+\.[\w.]+)(?: access| permission)|googleapi: error 403|permission '?(?P<name2>[\w]+\.[\w.]+)'? denied|caller does not have permission|iam_permission_denied|could not (?:find|automatically determine|load the) (?:default )?credentials|defaultcredentialserror|code ?= ?permissiondenied[^\n]{0,160}(?:google|permission|iam|resource)",
    ),
    rule(
        "cloud-denied",
        _DECIDES,
        "authorizationfailed|authorizationfailure|aadsts|defaultazurecredential|managedidentitycredential|azure|clientauthenticationerror|authorizationpermissionmismatch|keyvault",
        r"authorizationfailed|authorizationfailure|authorizationpermissionmismatch|aadsts\d+|(?:default|managedidentity|workloadidentity|environment)\w*credential[^\n]{0,120}(?:fail|unavailable|could not|error)|does not have authorization to perform action '(?P<name>[\w./]+)|forbiddenbypolicy|forbiddenbyrbac",
    ),
    rule(
        "auth-failed",
        _DECIDES,
        "password authentication failed",
        r"password authentication failed for user [\"'\\]*(?P<name>[^\"'\\\s]+)",
    ),
    rule(
        "auth-failed",
        _DECIDES,
        "access denied for user",
        r"access denied for user [\"'\\]*(?P<name>[^\"'\\@\s]*)[\"'\\]*(?:@[\"'](?P<from>[^\"']*))?",
    ),
    rule(
        "auth-failed",
        _DECIDES,
        "authentication failed|authenticationfailure|auth failure|authentication failure|auth failed|authenticationfailed",
        r"(?:peer|ident|md5|scram(?:-sha-\d+)?|ldap|gssapi|kerberos|radius|sasl|cert\w*|login)? ?auth(?:entication)? ?(?:failed|failure)(?: (?:for|user)[^\n]{0,20}? ?(?:user(?: name)?:?|principal|role|client)? ?[\"'\\]+(?P<name>[^\"'\\\n]{1,80}))?",
    ),
    rule(
        "auth-failed",
        _DECIDES,
        "pg_hba.conf",
        r"no pg_hba\.conf entry for host [\"'\\]*(?P<from>[^\"'\\\s,]+)[\"'\\]*, user [\"'\\]*(?P<name>[^\"'\\\s,]+)|pg_hba\.conf rejects connection",
    ),
    rule(
        "auth-failed",
        _DECIDES,
        "role ",
        r"role [\"'\\]+(?P<name>[^\"'\\\n]+)[\"'\\]+ (?:does not exist|is not permitted to log in)",
    ),
    rule(
        "auth-failed",
        _DECIDES,
        "permission denied for",
        r"permission denied for (?P<name>(?:table|schema|relation|database|sequence|function|view|column|type) [\w.\"]+)",
    ),
    rule(
        "auth-failed",
        _DECIDES,
        "wrongpass|noauth|noperm|invalid username-password|err auth|client sent auth|invalid password|without any password configured",
        r"wrongpass|noauth(?: authentication required|\b)|noperm\b|invalid username-password pair|err invalid password|client sent auth, but no password|auth <password> called without any password",
    ),
    rule(
        "auth-failed",
        WORDING,
        "authenticationerror|authenticationexception|exception authenticating|authorization violation|authentication required|requires authentication|authentication is required",
        r"(?<!/)\bauth(?:entication|n)(?:error|exception)\b|exception authenticating|authorization violation|authentication is required|authentication required\b|requires authentication\b",
    ),
    rule("auth-failed", _DECIDES, "login failed", r"login failed for user [\"'\\]+(?P<name>[^\"'\\\n]+)"),
    rule(
        "auth-failed",
        _DECIDES,
        "ora-01017|ora-28000|invalid username/password",
        r"ora-01017|ora-28000|invalid (?:username|user name|user)[/ ](?:and |or )?password",
    ),
    rule(
        "auth-failed",
        _DECIDES,
        "access_refused|authorizationexception|login was refused|handshake terminated by server|not_allowed|accessrefused|sasl",
        r"access_refused|login was refused|accessrefused|not_allowed - access to vhost '(?P<name>[^'\n]+)|probableauthenticationfailure|saslauthenticationexception|sasl ?(?:authentication|handshake)? ?(?:error|failed)|topicauthorizationexception|groupauthorizationexception|(?:topic|group|cluster|transactional_id)_authorization_failed",
    ),
    rule(
        "auth-failed",
        _DECIDES,
        "28p01|28000|er_access_denied|1045|18456|scram",
        r"\b28p01\b|(?:sqlstate|state|code)[^\n\w]{1,4}28000\b|er_access_denied\w*|\berror 1045\b|\b1045 \(28000\)",
    ),
    rule(
        "auth-failed",
        _DECIDES,
        "security_exception|unable to authenticate user|missing authentication credentials|failed to authenticate",
        r"security_exception|unable to authenticate user \[?(?P<name>[\w.\-]+)|missing authentication credentials|failed to authenticate user '?(?P<name2>[\w.\-]+)",
    ),
    rule(
        "auth-failed",
        _DECIDES,
        "command find requires authentication|requires authentication|not authorized on",
        r"requires authentication|not authorized on (?P<name>[\w.\-]+) to execute command|unauthorized: (?:authentication required|not authorized)",
    ),
    rule(
        "auth-failed",
        _DECIDES,
        "privilege|must be superuser|must be owner",
        r"(?:does not have|insufficient|lacks?|missing|no|need) (?:[\w()]{1,12} ){0,6}privileges?(?!d)|must be (?:superuser|owner)|privileges? (?:denied|required)",
    ),
    rule(
        "auth-failed",
        _DECIDES,
        "authorizationexception|not authorized to|authorization f|authorization error|permission denied|permissiondenied",
        r"\w*authorizationexception|not authorized to access|authorization (?:failed|failure|error)|(?:\b403\b|vault|code ?= ?permissiondenied)[^\n]{0,80}permission ?denied",
    ),
    rule(
        "auth-failed",
        _DECIDES,
        "server requested scram|client does not support authentication|no password supplied|no password was provided|authentication plugin|sasl: ",
        r"no password (?:was )?(?:supplied|provided)|client does not support authentication protocol|authentication plugin '?(?P<name>\w+)'? (?:is not|cannot|reported)|client password must be a string|scram-[\w\-]+ authentication requires",
    ),
    rule(
        "auth-failed",
        ERRNO,
        "401|unauthorized|unauthenticated",
        r"(?:status|http|code|error|got|returned|response|received)[^\n]{0,30}\b401\b|401 unauthorized|code ?= ?unauthenticated|statuscode\.unauthenticated|unauthorizedexception|httperror\w*[^\n]{0,40}unauthorized|\b401 client error",
    ),
    rule(
        "auth-failed",
        WORDING,
        "403|forbidden",
        r"(?:status|http|code|error|got|returned|response|received)[^\n]{0,30}\b403\b|403 (?:client error: )?forbidden|httpclienterrorexception\$?\.?forbidden",
    ),
    rule(
        "auth-failed",
        MECHANISM,
        "credential|api key|apikey|token|password",
        r"(?:invalid|incorrect|wrong|bad|expired|rejected|revoked)[ _-](?:\w+ )?(?:credentials?|api[ _-]?key|(?:access |auth |bearer |refresh |id )?token|password|username or password|login)\b|credentials? (?:are |is |were |was )?(?:invalid|incorrect|rejected|expired|wrong)|(?:token|api key|password) (?:is |was |has )?(?:expired|been revoked|invalid|incorrect|rejected)|invalid_grant|invalid_client",
    ),
    rule(
        "auth-failed",
        HINT,
        "unauthorized|unauthenticated|not authorized",
        r"\bunauthorized\b|\bunauthenticated\b|not authorized",
    ),
)

"""Pattern table: files, disks, descriptors and the databases that live on them."""

from __future__ import annotations

from kubectl_ai_intellect.evidence.logs.rules import ERRNO, HINT, MECHANISM, WORDING, Rule, rule

__all__ = ["STORAGE"]

_DECIDES = ERRNO + 1
_PATH = r"(?P<name>/[^\s'\"`:,;)\]}>]{1,400}|[A-Za-z]:\\[^\s'\"`,;)\]}>]{1,400}|\.{0,2}/?[\w@.\-]+(?:/[\w@.\-]+){0,20}\.\w{1,8}|[\w.\-]+(?:/[\w.\-]+){1,20})"
_Q = r"(?:u(?=['\"]))?[\"'`‘“\\(<]{0,3}"
_E = r"[\"'`’”\\)>]{0,3}"

_FILES: tuple[Rule, ...] = (
    rule(
        "read-only-filesystem",
        _DECIDES,
        "no usable temporary directory",
        r"no usable temporary directory (?:name )?found in \['(?P<name>/[\w/]+)'",
    ),
    rule(
        "read-only-filesystem",
        _DECIDES,
        "read-only file system",
        rf"{_Q}{_PATH}{_E}[:, ]{{1,3}}(?:\(\w+\) )?(?:[^\n/]{{0,60}}: )?(?:\(?30: ?|\[?errno 30\]? ?)?read-only file system",
    ),
    rule(
        "read-only-filesystem",
        _DECIDES,
        "read-only file system|erofs",
        rf"(?:errno 30\]?|erofs)[^\n'\"/]{{0,60}}[:,] (?:\w+ )?{_Q}{_PATH}",
    ),
    rule(
        "read-only-filesystem",
        ERRNO,
        "read-only file system|erofs|readonlyfilesystem|read only file system|errno 30",
        r"read[- ]only ?file ?system|\berofs\b|errno 30\b",
    ),
    rule(
        "disk-full",
        ERRNO,
        "no space left on device|enospc|storagefull|errno 28|not enough space on the disk|os error 28",
        r"no space left on (?:the )?device|\benospc\b|storagefull|errno 28\b|not enough space on the disk",
    ),
    rule(
        "disk-full",
        MECHANISM,
        "disk quota exceeded|edquot|disk is full|disk full|flood stage|flood-stage|out of disk|could not extend file|insufficient disk|low on disk|disk usage exceeded|free disk space is insufficient|no free space|database space exceeded|mvcc: database space",
        r"disk quota exceeded|\bedquot\b|disk (?:is )?full|flood[- ]stage|out of disk(?: space)?|could not extend file|insufficient (?:free )?disk|low on disk|disk usage exceeded|disk space is insufficient|no free space|database space exceeded",
    ),
    rule(
        "file-limit",
        _DECIDES,
        "inotify|watchers|watches",
        r"(?:inotify|file watchers?|watches)[^\n]{0,120}(?:too many open files|no space left|limit|reached|exhaust|enospc|failed|user instances)",
        name="inotify",
    ),
    rule("file-limit", _DECIDES, "enospc", r"enospc: system limit for number of file watchers", name="inotify"),
    rule(
        "file-limit",
        ERRNO,
        "too many open files|emfile|enfile|toomanyopenfiles|errno 24|file descriptor limit",
        r"too many open files|\be[mn]file\b|errno 24\b|(?:file descriptor|ulimit|nofile)s? limit[^\n]{0,40}(?:reached|exceeded|too low)",
    ),
    rule(
        "file-limit",
        MECHANISM,
        "vm.max_map_count|max file descriptors|cannot allocate thread|resource temporarily unavailable",
        r"vm\.max_map_count \[?\d+\]? is too low|max file descriptors \[?\d+\]?[^\n]{0,60}too low",
        name="max_map_count",
    ),
    rule(
        "permission-denied",
        _DECIDES,
        "bind",
        r"(?:bind|listen)[^\n]{0,100}[: ](?P<name>\d{1,4})\b[^\n]{0,60}(?:permission denied|eacces)",
    ),
    rule("permission-denied", _DECIDES, "eacces", rf"eacces(?:: permission denied)?,? (?:\w+ )?{_Q}{_PATH}"),
    rule(
        "permission-denied",
        _DECIDES,
        "permission denied|operation not permitted",
        rf"{_Q}{_PATH}{_E}[:,]? (?:\w+ ?\(\) )?(?:failed )?\(?(?:\w[^\n/]{{0,60}}: )?(?:1?3: ?|errno 1?3\]? ?)?(?:permission denied|operation not permitted)",
    ),
    rule(
        "permission-denied",
        _DECIDES,
        "permission denied|operation not permitted|eperm",
        rf"(?:permission denied|operation not permitted)[\"']?(?:\)|,| \(os error 1?3\)| @ \w+ -)?[:,]? (?:\w+ )?{_Q}{_PATH}",
    ),
    rule(
        "permission-denied",
        _DECIDES,
        "accessdeniedexception|unauthorizedaccessexception|access to the path",
        rf"(?:java\.nio\.file\.accessdeniedexception: |access to the path ){_Q}{_PATH}",
    ),
    rule(
        "permission-denied",
        _DECIDES,
        "is not writable|not writeable|is not readable|cannot write to|not writable by|no write permission|failed to open stream",
        rf"(?P<name>/[^\s'\"`:,;)]{{1,400}}){_E}[^\n/]{{0,40}}(?:is |are )?not (?:writ(?:e)?able|readable)(?! stream)",
    ),
    rule(
        "file-not-found",
        MECHANISM,
        "missing|not found|no such",
        rf"(?:file|directory|folder|certificate|keystore|licen[sc]e)(?: is| was)? (?:missing|not found|absent)(?: at| in| from| under)?:? {_Q}(?P<name>/[^\s'\"`:,;)]{{1,400}})",
    ),
    rule(
        "permission-denied",
        _DECIDES,
        "wrong ownership|has wrong permissions|too open|group or world|invalid permissions|bad permissions|permissions 0",
        rf"(?:data directory |file |key )?{_Q}{_PATH}{_E} has (?:wrong ownership|invalid permissions|group or world access|wrong permissions)|permissions \d+ for {_Q}(?P<name2>\S+?){_E} are too open",
    ),
    rule(
        "permission-denied",
        ERRNO,
        "permission denied|permissiondenied|eacces|eperm|errno 13",
        r"permission ?denied(?! for (?:table|schema|relation|database|sequence|function|view|column|type|user))|\beacces\b|\beperm\b|errno 13\b",
    ),
    rule("permission-denied", MECHANISM, "operation not permitted", r"operation not permitted"),
    rule(
        "permission-denied",
        MECHANISM,
        "must be run as root|must be root|requires root|run as root|not running as root|superuser privileges|are you root|without root",
        r"(?:must be|needs to be|has to be) (?:run as |executed as |running as )?root|requires? (?:root|superuser) (?:access|privilege)|are you root\?|you (?:cannot|need to|must) [^\n]{0,30}\broot\b",
        name="root",
    ),
    rule(
        "permission-denied",
        MECHANISM,
        "running as root|as root",
        r"(?:refus\w+|cannot|can not|not allowed|not permitted|must not)[^\n]{0,60}(?:run(?:ning)?|execution|executed|execute)[^\n]{0,30}(?:as )[\"']?root",
        name="root",
    ),
    rule(
        "file-not-found",
        _DECIDES,
        "enoent",
        rf"enoent(?:: no such file or directory)?,? (?:\w+ )?{_Q}{_PATH}",
    ),
    rule(
        "file-not-found",
        _DECIDES,
        "no such file or directory",
        rf"(?:errno 2\]|\(2\)|@ \w+ -)? ?no such file or directory(?: @ \w+ -)?[:,]? (?:\w+ )?{_Q}{_PATH}",
    ),
    rule(
        "file-not-found",
        _DECIDES,
        "no such file or directory|cannot find the file|not found",
        rf"(?:open|stat|lstat|read|load|access|chdir|readlink|scandir|opening|reading|loading|file|directory|include|require|source|path|cat:|ls:|cd:|config|certificate|key)[^\n]{{0,40}}? {_Q}{_PATH}{_E}[:,]? (?:failed )?\(?(?:\w[^\n/]{{0,50}}: )?(?:2: ?)?(?:no such file or directory|the system cannot find the)",
    ),
    rule(
        "file-not-found",
        _DECIDES,
        "no such file or directory",
        rf"{_Q}{_PATH}{_E}[:,]? (?:\w+\(\) )?(?:failed )?\(?(?:2: ?)?(?:cannot open: |can't open: )?no such file or directory",
    ),
    rule(
        "file-not-found",
        _DECIDES,
        "filenotfound|nosuchfileexception|directorynotfound|could not find file|could not find a part of the path",
        rf"(?:filenotfound(?:exception|error)|nosuchfileexception|directorynotfoundexception|could not find (?:file|a part of the path)):? {{0,2}}(?:\[errno 2\] no such file or directory: |class path resource |could not find (?:file|a part of the path) )?{_Q}\[?{_PATH}",
    ),
    rule(
        "file-not-found",
        _DECIDES,
        "unable to access jarfile|can't open file|could not open file|cannot open file|could not open input file|failed to open stream|failed opening required",
        rf"(?:unable to access jarfile|(?:can't|could not|cannot) open (?:input )?file:?|failed opening required) {_Q}{_PATH}",
    ),
    rule(
        "file-not-found",
        _DECIDES,
        "no such file or directory",
        rf"(?:cannot|can't|could not|failed to|unable to) (?:load|open|read|find|access|stat)[^\n/]{{0,40}} {_Q}{_PATH}[^\n]{{0,160}}no such file or directory",
    ),
    rule(
        "file-not-found",
        ERRNO,
        "no such file or directory|enoent|filenotfound|nosuchfile|cannot find the file specified|os error 2)|kind: notfound",
        r"no such file or directory|\benoent\b|filenotfound(?:error|exception)|nosuchfileexception|cannot find the (?:file|path) specified|kind: notfound",
    ),
    rule(
        "file-not-found",
        MECHANISM,
        "not found|does not exist|missing|doesn't exist|not exist",
        rf"(?:config(?:uration)?|certificate|key|keystore|settings|properties|template|schema|data|input|license|credentials?|ca|model|yaml|env)? ?(?:file|directory|folder|path|keystore|bundle) {_Q}{_PATH}{_E} (?:is |was |could |can )?(?:not (?:be )?found|does(?:n't| not) exist|(?:is )?missing|not exist)",
    ),
    rule(
        "file-not-found",
        MECHANISM,
        "could not |cannot |unable to |failed to |not found|does not exist|missing|not find|no such file",
        rf"(?:could not|cannot|can't|unable to|failed to) (?:find|locate|read|load|open)[^\n/]{{0,60}}(?:file|directory|certificate|config(?:uration)?|key)[^\n/]{{0,20}}[: ]{{1,2}}{_Q}{_PATH}",
    ),
    rule(
        "file-not-found",
        WORDING,
        "config file|configuration file|no config|keystore",
        r"(?:no (?:such )?config(?:uration)? file|config(?:uration)? file not found|config file \"[^\"]{1,80}\" not found)",
    ),
    rule(
        "file-not-found",
        MECHANISM,
        "is a directory|not a directory|eisdir|enotdir",
        rf"(?:eisdir|enotdir|(?:{_Q}{_PATH}{_E}[: ]{{1,3}}(?:is a directory|not a directory)))",
    ),
)

_DATABASES: tuple[Rule, ...] = (
    rule(
        "db-read-only",
        _DECIDES,
        "read-only transaction|readonly database|read only transaction|--read-only|super-read-only|read_only|readonly you can't write|not primary|not master|notprimary|notwritableprimary|read-only replica|read only replica|read-only mode|readonlyerror|cannot execute|in a read-only|read only mode|recovery is in progress|no_writable",
        r"in a read[- ]only transaction|--(?:super-)?read-only|readonly you can't write|not ?(?:writable ?)?primary|not master|notmaster|against a read[- ]only|read[- ]only replica|is (?:in )?read[- ]only(?: mode)?|readonlyerror|cannot execute \w+ during recovery|recovery is in progress|attempt to write a readonly database|cluster_block_exception[^\n]{0,200}read-only",
    ),
    rule(
        "db-read-only",
        _DECIDES,
        "readonly database|read-only database|readonly sql|is read-only|in read-only|is read only|cluster_block_exception",
        r"attempt to write a readonly database|(?:database|server|replica|index|node|table|member|master|cluster)\b[^\n]{0,30} is (?:in )?read[- ]only\b|running in read-only|cluster_block_exception[^\n]{0,200}read-only|sqlstate[\[ (:]{0,2}25006|read-only database",
        scheme="",
    ),
    rule(
        "db-read-only",
        _DECIDES,
        "misconf redis|25006|1290",
        r"misconf redis is configured to save|(?:sqlstate|state|code)[^\n\w]{1,4}25006\b|error 1290",
    ),
    rule(
        "connections-exhausted",
        _DECIDES,
        "too many connections|too many clients|remaining connection slots|connection slots|53300|max_connections|er_con_count|1040|1203|max number of clients|max_user_connections|too many active|connection limit|no more connections|sorry, too many",
        r"too many (?:connections|clients|database connections|active connections)|(?:remaining )?connection slots are reserved|(?:sqlstate|state|code)[^\n\w]{1,4}53300\b|er_con_count|er_too_many_user|max number of clients reached|exceeded the 'max_user|max_user_connections|connection limit (?:exceeded|reached)|no more connections allowed|max_client_conn",
    ),
    rule(
        "connections-exhausted",
        _DECIDES,
        "pool|connectionacquiretimeout",
        r"(?:connection )?pool(?:[ -]?\d{0,6})?[^\n]{0,80}(?:exhaust|is not available, request timed out|timed? ?out (?:waiting|fetching|acquiring|after)|limit of size \d+ overflow|size reached|max(?:imum)? (?:pool )?size|no (?:idle |free |available )connection)|could not obtain (?:a )?(?:database )?connection within|timed? ?out (?:fetching|acquiring|waiting for|while waiting for|getting)[^\n]{0,60}(?:connection|pool)|pool ?timed ?out|pooltimeout|knex: timeout acquiring|connectiontimeouterror: could not obtain|connection is not available, request timed out|timeout exceeded when trying to connect|prior to obtaining a connection from the pool|operation wascancelled|waitqueuetimeout|connectionacquiretimeout|could not get a resource from the pool|unable to acquire jdbc connection",
    ),
    rule(
        "connections-exhausted",
        _DECIDES,
        "pool empty|unable to fetch a connection|none available|no available connection|all connections|pool is closed|acquire a connection|exhausted",
        r"pool (?:is )?empty|unable to (?:fetch|acquire|get|obtain) a(?: \w+)? ?connection (?:in|within|from)|all (?:pooled )?connections (?:are )?in use|failed to (?:acquire|obtain|get) (?:a )?(?:db |database )?connection from (?:the )?pool|no (?:more )?connections available",
    ),
    rule(
        "connections-exhausted",
        _DECIDES,
        "queuepool|waiting for connection from pool|obtaining a connection|get a resource|poolexhausted|hikaripool|c3p0",
        r"queuepool limit|poolexhausted|waiting for (?:idle object|connection from pool)",
    ),
    rule(
        "schema-missing",
        _DECIDES,
        "does not exist|doesn't exist|no such table|undefinedtable|42p01|42s02|er_no_such_table|unknown table|undefined column|42703|no such column|unknown column|3f000|invalid object name|ora-00942|not exist",
        r"(?:relation|table|column|schema|view|sequence|function|type|index|collection|keyspace) [\"'`]?(?P<name>[\w.$]+)[\"'`]?(?: of relation \S+)? does(?:n't| not) exist|no such (?:table|column):? ?[\"'`]?(?P<name2>[\w.]+)|unknown (?:column|table) [\"'`](?P<name3>[\w.]+)|invalid object name '(?P<name4>[\w.]+)|ora-00942|undefinedtable|\b42p01\b|\b42s02\b|er_no_such_table",
    ),
    rule(
        "schema-missing",
        _DECIDES,
        "database|3d000|1049|unknown database",
        r"database [\"'`](?P<name>[\w.\-]+)[\"'`] does not exist|unknown database [\"'`](?P<name2>[\w.\-]+)|cannot open database [\"'`](?P<name3>[\w.\-]+)[\"'`] requested|\b3d000\b",
    ),
    rule(
        "schema-missing",
        MECHANISM,
        "unapplied migration|pending migration|migrations are pending|migration|index_not_found|unknown_topic|unknowntopicorpartition|no such bucket|nosuchbucket|no exchange|no queue|unknown topic",
        r"(?<!\b0 )(?<!\bno )(?:pending|unapplied) migrations?|(?<!no )migrations are pending|index_not_found_exception(?:[^\n]{0,40}no such index \[(?P<name>[\w.\-*]+)\])?|unknown_?topic_?or_?part(?:ition)?|nosuchbucket|no (?:exchange|queue) '(?P<name2>[\w.\-]+)' in vhost|missing table \[(?P<name3>[\w.]+)\]|missing column \[(?P<name4>[\w.]+)\]",
    ),
    rule(
        "deadlock",
        MECHANISM,
        "deadlock|lock wait timeout|40p01",
        r"deadlock(?: (?:detected|found|victim)|ed on lock)|all goroutines are asleep - deadlock|lock wait timeout exceeded|found (?:one|\d+) java-level deadlock|er_lock_deadlock|\b40p01\b",
    ),
    rule(
        "deadlock",
        MECHANISM,
        "change log lock|changelog lock|locked by|advisory lock|migration lock",
        r"change ?log lock|(?:currently )?locked by \S|(?:advisory|migration) lock[^\n]{0,60}(?:timeout|timed out|fail|could not|held)|(?:could not|can't|unable to) (?:obtain|acquire)[^\n]{0,30}(?:advisory|migration) lock",
    ),
    rule(
        "deadlock",
        MECHANISM,
        "lock wait timeout|change log lock|could not obtain lock|database is locked|lock file|lock-file|lockfile|already locked|failed to lock|waiting for changelog lock|resource lock|another process|obtain lock",
        r"lock wait timeout exceeded|database is locked|could not acquire change log lock|waiting for changelog lock|lock file [^\n]{0,120}(?:already exists|exists)|(?:failed to|could not|cannot|unable to) (?:obtain|acquire|get|take)[^\n]{0,40}\block\b|already locked|another (?:instance|process|server) (?:is |might |may )?[^\n]{0,40}(?:running|using|lock)",
    ),
    rule(
        "panic",
        HINT,
        "corrupt",
        r"(?:data|file|index|wal|segment|block|page|database)[^\n]{0,60}(?:is )?corrupt(?:ed|ion)?",
    ),
)

STORAGE: tuple[Rule, ...] = _FILES + _DATABASES

"""The words of questions: plain English that is no name, topics, and the forms of information and action questions."""

from __future__ import annotations

import re
from importlib import resources

PLAIN_WORDS = frozenset(
    resources.files("kubectl_ai_intellect.question").joinpath("plain_words.txt").read_text("utf-8").split()
)
"""Words that are never taken for a name unless an object really has that name (then `resolve` finds it by looking)."""

CLUSTER_WORDS = re.compile(
    r"\b(?:kube\w*|k8s|kubectl|pods?|nodes?|deploy\w*|containers?|namespaces?|cluster|services?|svc|ingress\w*|images?|replicas?\w*|"
    r"statefulset\w*|daemonset\w*|jobs?|cronjobs?|pvcs?|volumes?|claims?|configmaps?|secrets?|helm|endpoints?|rollout|workloads?|apps?|"
    r"applications?|hpa|pdb|rbac|quota|crds?|webhooks?|gateway|probe\w*|scheduler|kubelet|api ?server|dns|coredns|logs?|events?)\b"
)

TROUBLE = re.compile(
    r"\b(?:why|wrong|fail\w*|error\w*|crash\w*|broken|down|stuck|pending|restart\w*|kill\w*|oom\w*|evict\w*|unhealthy|unavailable|unreachable|"
    r"not (?:working|ready|starting|running|responding|reachable|scheduled|coming|scaling|able)|(?:can't|cannot|cant|couldn't|unable|won't|wont|"
    r"doesn't|doesnt|isn't|isnt|aren't|didn't|never)|refused|denied|forbidden|timeout|timed out|slow\w*|latency|50[0234]|40[134]|x509|"
    r"hang\w*|tim(?:es?|ing) out|(?:does|do|did|is|are|was|were|has|have) not|hasn't|haven't|wasn't|weren't|don't|dont|stops?|stopped|weird\w*|strange\w*|odd|funny|bad|no longer|nothing|nobody|no one|none|intermittent\w*|sporadic\w*|sometimes|half of|blank|empty|reset\w*|rejected|drops?|dropped|dropping|unresponsive|not (?:\w+ing|work\w*|respond\w*|com\w*|get\w*)|dead|dying|die[sd]?|troubleshoot|diagnos\w*|debug|investigat\w*|issues?|problems?|incident|outage|alert\w*|root cause|back-?off|"
    r"imagepull\w*|errimage\w*|unschedulable|terminating|fix|help|degraded|impaired|misbehav\w*|flapping|missing|should (?:have|be|run|show)|only (?:\d+|one|two|half)|instead of|expected|lost|exceeded|immutable|invalid|conflicts?)\b"
)

TOPICS: dict[str, re.Pattern[str]] = {
    "restart": re.compile(r"\brestart\w*|crash\w*|back-?off|dies|died|dying|exit(?:s|ed|ing)? (?:code|with)"),
    "pending": re.compile(r"\bpending|unschedul\w*|not scheduled|no nodes?\b"),
    "image": re.compile(r"\bimage|errimage|imagepull|registry|pull\w*\b"),
    "config": re.compile(r"\bconfig\w*|env(?:ironment)?\b|secret\b|variable"),
    "oom": re.compile(r"\boom\w*|out of memory|memory"),
    "probe": re.compile(r"\bprobes?|liveness|readiness|startup probe|health ?check"),
    "connect": re.compile(r"\bconnect\w*|unreachable|refused|reach\b|timeouts?|timed out|50[234]\b|talk to"),
    "dns": re.compile(r"\bdns|resolv\w*|no such host|nxdomain"),
    "slow": re.compile(r"\bslow\w*|latency|lag\w*|performance|throttl\w*|takes (?:too )?long"),
    "storage": re.compile(r"\bpvcs?|volumes?|mount\w*|disk|storage|claims?\b"),
    "quota": re.compile(r"\bquota|limitrange|exceeded\b"),
    "rollout": re.compile(r"\brollout|rolling|roll ?back|stuck update|new version"),
    "job": re.compile(r"\bjobs?|cron\w*|batch\b"),
    "node": re.compile(r"\bnodes?|kubelet\b"),
    "drain": re.compile(r"\bdrain\w*|evict\w*|pdb|disruption"),
    "delete": re.compile(r"\bdelet\w*|terminating|finali[sz]er\w*|go away|remov\w*"),
    "scale": re.compile(r"\bscal(?:e|es|ed|ing|er)\b|hpa|autoscal\w*|replicas\b"),
    "permission": re.compile(r"\bpermissions?|forbidden|rbac|unauthori\w*|denied|401|403\b"),
    "certificate": re.compile(r"\bcert\w*|tls|x509|ssl|https\b"),
    "ingress": re.compile(r"\bingress\w*|gateway|route\w*|404\b|from outside"),
    "network": re.compile(r"\bnetwork\w*|netpol\w*|policy|policies|firewall|packets?\b"),
    "change": re.compile(r"\bchange[ds]?|since (?:the )?(?:deploy|release|update|upgrade)|deployed|regress\w*"),
}

_LIST = r"(?:list|show|display|print|get|give me|which|what|tell me)"
_KINDS = (r"(?:pods?|nodes?|deployments?|deploys?|services|svcs?|statefulsets?|daemonsets?|jobs?|cronjobs?|pvcs?|pvs?|ingress(?:es)?|"
          r"namespaces|configmaps?|secrets?|serviceaccounts?|hpas?|pdbs?|storageclass(?:es)?|networkpolic(?:y|ies)|quotas?|crds?|"
          r"replicasets?|(?:cluster)?roles?|(?:cluster)?rolebindings?|persistentvolumeclaims?|persistentvolumes?|events)")  # fmt: skip
_STATES = r"(?:not ready|unready|unhealthy|failing|failed|broken|crash\w*|pending|not running|evicted|in error|erroring|terminating|down)"
_POLITE = (
    r"^\s*(?:please |can you |could you |now |just |hey |tell me |i want to (?:know|see) |i'd like to (?:know|see) )*"
)
_MAY = (r"(?:(?:get|list|watch|create|delete|update|patch|exec|read|see|view|edit|modify|change|remove|write|scale|deploy|restart|impersonate|"
        r"port-?forward|run|bind|escalate|access|make|add|do (?:everything|anything)|be (?:cluster[- ])?admin)\b|to \w+)")  # fmt: skip
INFORMATION: dict[str, re.Pattern[str]] = {
    "changes": re.compile(r"\bwhat(?:'s| has| have| was| is)? (?:been )?(?:recently )?(?:changed|different|new)\b|\bwhat (?:did|have) (?:we|they|i|someone|anybody|anyone) (?:changed?|deploy(?:ed)?)\b|"
                          r"\bwho (?:last )?(?:changed|edited|touched|deployed)\b|\bchange history\b|\brecent changes\b|\bwhat was (?:deployed|rolled out|updated)\b|"
                          r"^\s*(?:did|has) (?:anything|something) changed?\b|^\s*(?:list|show)(?: me)?(?: the| all| recent| latest| last)* changes\b"),
    "errors-by-namespace": re.compile(_POLITE + r"(?:list|show|get|find|identify)\b.*\bpods?\b.*\berrors?\b|\bpods? (?:with|having|that have|in) errors? (?:in|of|for|by|per) (?:each|every|all)\b"),
    "count-not-ready": re.compile(r"\bhow many\b.*\b" + _STATES + r"\b"),
    "count": re.compile(r"\bhow many\b(?! times)|" + _POLITE + r"(?:what(?:'s| is) |show |give me |get )?(?:the )?(?:number of|count (?:of|the|all))\b"),
    "not-ready": re.compile(_POLITE + r"(?:list|show|which|what|get|are there|do i have|any)\b.*\b(?:pods?|nodes?|deployments?|statefulsets?|daemonsets?|jobs?|pvcs?|claims?)\b(?: \w+){0,3} " + _STATES + r"\b|"
                            + _POLITE + r"(?:list|show|get|print|display)(?: me| all| the| my| every)* " + _STATES + r" (?:pods?|nodes?|deployments?|statefulsets?|daemonsets?|jobs?|pvcs?)\b"),
    "restarts": re.compile(_POLITE + r"(?:which|what|list|show)\b.*\bpods?\b.*\b(?:restarted|restarts|most restarts)\b|\bhow (?:often|many times)\b.*\b(?:restart|crash)|" + _POLITE + r"(?:show|list|what(?:'s| is))(?: me)?(?: the)? restart counts?\b"),
    "images": re.compile(r"\b(?:which|what)(?:'s| is| are)?(?: the)? (?:container |docker )?(?:image|version|tag)s?\b(?! of (?:kubernetes|k8s|the cluster))|\bimages? (?:in use|used by)\b|" + _POLITE + r"(?:list|show)(?: me)? (?:all |the )?(?:container )?images?\b"),
    "who-can": re.compile(r"\bwho (?:can|may|could|is allowed to|is able to) " + _MAY + r"|\bwho (?:has|have) (?:\w+ )?(?:access|permissions?|rights)\b|^\s*(?:can|may|am) i (?:allowed to )?" + _MAY),
    "usage": re.compile(r"\b(?:which|what|show|list|top|how much)\b.*\b(?:cpu|memory|ram)\b.*\b(?:us(?:es?|ing|age|ed)|consum\w*)\b|\b(?:us(?:es?|ing|age)|consum\w*)\b.*\b(?:most|all the|so much) (?:of the )?(?:cpu|memory|ram)\b|"
                        r"^\s*(?:cpu|memory|resource)(?: and (?:cpu|memory))? usage\b|^\s*top (?:pods?|nodes?)\b"),
    "resources": re.compile(_POLITE + r"(?:which|what|show|list|how much)\b.*\b(?:(?:cpu|memory|mem|resources?) (?:requests?|limits?)|(?:no|without|have|has|set|missing|the) (?:any )?(?:requests|limits))\b|" + _POLITE + r"how much (?:cpu|memory|ram)\b.*\brequest"),
    "on-node": re.compile(r"\b(?:which|what|list|show)\b.*\bpods?\b.*\b(?:on|running on) (?:the )?(?:node|worker)\b|\bwhere (?:is|does|do|are)\b.*\b(?:run(?:ning)?|scheduled|placed|deployed)\b|\b(?:which|what) nodes? (?:(?:is|are|does|do)\b.*\b(?:run(?:s|ning)?|on)|runs?|hosts?)\b"),
    "events": re.compile(_POLITE + r"(?:list|show|get|what are|print|display)(?: me)?(?: the| all| recent| last| latest| warning)* events\b"),
    "depends": re.compile(r"\bwhat (?:does .* depend|depends) on\b|\b(?:what|who) uses\b|\b(?:which|what) (?:pods?|deployments?|workloads?|apps?) (?:uses?|mounts?|references?|depends? on)\b|\bwhat (?:config ?maps?|secrets?|claims?|pvcs?|volumes?) (?:does|do) .* (?:use|mount|need|reference)\b"),
    "ready": re.compile(r"^\s*(?:is|are) .*\bready\b\??$(?<!not ready)(?<!not ready\?)"),
    "version": re.compile(r"\b(?:which|what)(?:'s| is)?(?: the)? (?:kubernetes |k8s |cluster |server )version\b|\bversion of (?:kubernetes|k8s|the cluster)\b|\b(?:which|what) version (?:of kubernetes|is (?:the|this|my) (?:cluster|server))\b"),
    "list": re.compile(_POLITE + rf"{_LIST}(?: me)?(?: are| is)?(?: all| the| my| every| of)*(?: the| my)? (?!.*\b(?:wrong|problem|issue|cause|happen\w*)\b)"
                       + _KINDS + r"\b(?: (?:in|of|on|are|do|exist|there|we|i|have|running|here|for|with|that are running).*)?\??\s*$"),
}  # fmt: skip
"""Forms of questions that a table answers, most specific first."""

INHERENT = frozenset({"errors-by-namespace", "count-not-ready", "count", "not-ready", "restarts", "list", "events"})
"""Forms that may hold words of trouble: they ask which or how many, not why."""

EVERYDAY_KINDS: dict[str, re.Pattern[str]] = {
    "HorizontalPodAutoscaler": re.compile(r"\b(?:auto-?scal(?:er|ers|ing))\b"),
    "CronJob": re.compile(r"\b(?:cron|crontab|scheduled (?:job|task)s?|nightly (?:job|run|task)s?)\b"),
    "PersistentVolumeClaim": re.compile(r"\bvolume claims?\b"),
    "NetworkPolicy": re.compile(r"\bnetwork polic(?:y|ies)\b"),
    "Node": re.compile(
        r"\b(?:workers?|machines?|hosts?|instances?|vms?)\b.*\bnot ?ready\b|\bnot ?ready\b.*\b(?:workers?|machines?|hosts?|vms?)\b"
    ),
}
"""What people call a kind whose own name they do not use."""

OTHER_SUBJECTS = re.compile(
    r"\b(?:recipes?|cook|weather|jokes?|poems?|capital of|movies?|songs?|football|soccer|translate|essay|president|"
    r"write (?:me )?(?:a|an|some) |who (?:won|wrote|invented|is the)|how old is|meaning of life)\b"
)
"""Questions about the world at large."""

WHY = re.compile(
    r"\b(?:why|how come|wrong|what(?:'s| is| was| went| has gone)? (?:\w+ )?wrong|root cause|reasons?|what (?:causes?|caused|is causing|kills?|killed|is killing|breaks?|broke|"
    r"happened|happens|is happening|is stopping|stops|prevents?|is preventing|blocks?|is blocking)|fix|figure out|diagnos\w*|troubleshoot\w*|debug|investigat\w*|explain|help)\b"
)
"""Words that ask for a cause, whatever else a question asks for."""

COMPLAINT = re.compile(
    r"\b(?:says?|said|gives?|gave|returns?|returned|takes|took|hangs|does|did|gets?|got|remains?|stays?|keeps?|was|were|is|are|has|had|instead|but|because|after|"
    r"since|when|whenever|still|endless\w*|loop\w*|mismatch\w*|forever|again and again|happened|ignored)\b"
)
"""Words that tell what went on, which nobody uses to give an order."""

MISSED = re.compile(
    r"\b(?:not|\w+n't|cannot|cant|dont|doesnt|isnt|wont|no|none|nobody|never|nothing|nowhere|stopped|down|offline|gone|"
    r"disappeared|vanished|missing|lost|unreachable|zero|0|scaled?|suspended?|paused|evict\w*|failed pods?|left ?over\w*)\b"
)
"""Words of one who misses something that should be there or at work, or who thinks of what was stopped or ended."""

TABLE_WORDS = frozenset(
    ["allowed", "claim", "consume", "consuming", "copies", "cpu", "depend", "depends", "exec", "exist", "exists", "history", "identify", "instances",
     "latest", "limit", "limits", "list", "may", "most", "often", "past", "permission", "permissions", "placed", "print", "ram", "recent", "recently",
     "request", "requests", "rights", "rolled", "scheduled", "sorted", "tag", "tags", "top", "touched", "usage", "view", "warning", "warnings"]
)  # fmt: skip
"""Words of questions for tables that are no name there; a diagnosis may well be about a pod of such a name."""

_ASKS_WHETHER = re.compile(
    r"^\W*(?:is|are|was|were|has|have|did|does|do|can|check|tell me if|whether|any(?:thing)?)\b[^,.;]*[?]?\s*$"
)


def complains(text: str) -> bool:
    """Whether the words say that something is wrong, and do not merely ask whether it is."""
    lowered = text.lower()
    return TROUBLE.search(lowered) is not None and _ASKS_WHETHER.match(lowered) is None


_SAFE = "nothing is ever changed from here; run it yourself if you mean it"
ACTIONS: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), f"{what}: {_SAFE}")
    for pattern, what in (
        (r"^\s*(?:please |can you |could you |now )*(?:delete|remove|destroy|nuke) (?:the |my |all )?(?!.*\b(?:stuck|fail\w*|hang\w*|forever)\b)\w+", "to delete, kubectl delete KIND NAME"),
        (r"^\s*(?:please |can you |could you )*scale (?:the |my |up |down )*[\w/-]+.*\b(?:to|up|down)\b", "to scale, kubectl scale KIND/NAME --replicas=N"),
        (r"^\s*(?:please |can you |could you )*(?:restart|bounce|reboot) (?:the |my |all )?[\w/-]+\s*(?:pods?|deployments?|deploy|service|app)?\s*$", "to restart, kubectl rollout restart KIND/NAME"),
        (r"^\s*(?:please |can you |could you )*(?:create|deploy|apply|install|add|expose) (?:a |an |the |my )?(?!is\b|was\b|fails?\b|failed\b|stuck\b|hangs?\b|of\b|job\b)\w+(?!.*\b(?:fail\w*|stuck|hang\w*|error\w*|refused|denied)\b)", "to create, kubectl apply -f FILE"),
        (r"^\s*(?:please |can you |could you )*(?:drain|cordon|uncordon|taint|label|annotate|patch|edit) (?:the |my )?(?!selectors?\b|keys?\b|values?\b|on\b|of\b|is\b)\w+(?!.*\b(?:fail\w*|stuck|hang\w*|error\w*|refused|denied|block\w*|forever|never)\b)", "for that, use kubectl's own verb"),
        (r"^\s*(?:please |can you |could you )*roll ?back (?:the |my )?[\w/-]+", "to roll back, kubectl rollout undo KIND/NAME"),
        (r"^\s*(?:please |can you |could you )*(?:set|change|update|upgrade) (?:the |my )?[\w/-]+.*\bto\b", "to change it, kubectl set or kubectl edit"),
    )
)  # fmt: skip

__all__ = [
    "ACTIONS",
    "CLUSTER_WORDS",
    "COMPLAINT",
    "EVERYDAY_KINDS",
    "INFORMATION",
    "INHERENT",
    "MISSED",
    "OTHER_SUBJECTS",
    "PLAIN_WORDS",
    "TABLE_WORDS",
    "TOPICS",
    "TROUBLE",
    "WHY",
    "complains",
]

"""Text into words for the lexical half of the search, and pasted lines into text worth embedding.

Both are general: identifiers are split the way Kubernetes writes them (CamelCase reasons, dotted hosts,
dashed names), kubectl's short resource names are read as the long ones, and what only names one instance
(addresses, uids, timestamps, hashes) is dropped, since no runbook can contain it.
"""

from __future__ import annotations

import re
from functools import lru_cache

# What names one instance of something: never a word of a runbook.
_NOISE = re.compile(
    r"""
      \b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b      # uid
    | \bsha256:[0-9a-f]{6,}\b
    | \b\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?\b # timestamp
    | \b\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?(?:/\d+)?\b                          # address
    | \b(?:\d+[dhms]){1,4}(?:\ \(x\d+\ over\ (?:\d+[dhms])+\))?(?=\s)            # age of an event
    | \b0x[0-9a-f]+\b
    | \b(?=[0-9a-f]*\d)(?=\d*[a-f])[0-9a-f]{7,64}\b                          # hash
    """,
    re.VERBOSE | re.IGNORECASE,
)
_WORD = re.compile(r"[A-Za-z][A-Za-z0-9]*|\d{2,4}(?![\d.])|/\w+")
_HUMP = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+")
# Only the words of grammar: words such as "not" or "no" decide the meaning of an event and stay.
_STOP_WORDS = """
a an the and or of in on at to for from by with is are was were be been it its this that these those as i my
me we our you your he she they their there what which who why how when where do does did can could should
would will have has had if so but then than just any some all after since because
"""
_STOP = frozenset(_STOP_WORDS.split())
# kubectl's own short names, and how people abbreviate.
_LONG = {
    "cm": "configmap",
    "crb": "clusterrolebinding",
    "crd": "customresourcedefinition",
    "deploy": "deployment",
    "ds": "daemonset",
    "ep": "endpoints",
    "hpa": "horizontalpodautoscaler",
    "ing": "ingress",
    "k8s": "kubernetes",
    "netpol": "networkpolicy",
    "ns": "namespace",
    "pdb": "poddisruptionbudget",
    "psa": "podsecurity",
    "pv": "persistentvolume",
    "pvc": "persistentvolumeclaim",
    "rs": "replicaset",
    "sa": "serviceaccount",
    "sc": "storageclass",
    "sts": "statefulset",
    "svc": "service",
}
_SPLIT = {
    "configmap": ("config", "map"),
    "horizontalpodautoscaler": ("autoscaler",),
    "networkpolicy": ("network", "policy"),
    "persistentvolumeclaim": ("persistent", "volume", "claim"),
    "persistentvolume": ("persistent", "volume"),
    "poddisruptionbudget": ("disruption", "budget"),
    "podsecurity": ("pod", "security"),
    "replicaset": ("replica",),
    "serviceaccount": ("service", "account"),
    "storageclass": ("storage", "class"),
}


def without_noise(text: str) -> str:
    """The text without what names one instance; whitespace is folded."""
    return " ".join(_NOISE.sub(" ", text).split())


@lru_cache(maxsize=65536)
def stem(word: str) -> str:
    """A light English stem: plurals and verb endings fold together, identifiers stay recognisable."""
    if len(word) > 4 and word.endswith("ies"):
        return word[:-3] + "y"
    for ending in ("ing", "edly", "ed", "ly", "es", "s"):
        if word.endswith(ending) and len(word) - len(ending) >= 3 and not word.endswith("ss"):
            word = word[: -len(ending)]
            if len(word) > 3 and word[-1] == word[-2] and word[-1] not in "lsz":
                word = word[:-1]
            break
    return word[:-1] if len(word) > 4 and word.endswith("e") else word


def _parts(word: str) -> list[str]:
    """The word itself and, where it is a compound, its parts."""
    low = word.lower().lstrip("/")
    low = _LONG.get(low, low)
    parts = [low, *_SPLIT.get(low, ())]
    humps = _HUMP.findall(word)
    if len(humps) > 1 and not word.isupper():
        parts.extend(hump.lower() for hump in humps)
    return parts


def words(text: str) -> list[str]:
    """The stems of a text in order; compounds are followed by their parts."""
    return [stem(part) for part in _kept(text)]


def spellings(text: str) -> dict[str, str]:
    """How each stem of a text was spelled there, for showing it."""
    return {stem(part): part for part in reversed(_kept(text))}


def _kept(text: str) -> list[str]:
    found = (part for match in _WORD.finditer(_NOISE.sub(" ", text)) for part in _parts(match.group()))
    return [part for part in found if part not in _STOP and len(part) > 1]


__all__ = ["spellings", "stem", "without_noise", "words"]

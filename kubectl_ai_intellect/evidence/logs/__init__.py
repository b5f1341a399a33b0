"""Container logs, digested: what failed, against which peer, in which words, of any size and in bounded memory."""

from __future__ import annotations

from kubectl_ai_intellect.evidence.logs.digest import digest
from kubectl_ai_intellect.evidence.logs.model import LOG_KINDS, LogDigest, LogHit, Peer, Template
from kubectl_ai_intellect.evidence.logs.runtime import CHILD

__all__ = ["CHILD", "LOG_KINDS", "LogDigest", "LogHit", "Peer", "Template", "digest"]

"""Cases: what was read of a cluster, kept in one file, to ask again, to share, to test against."""

from kubectl_ai_intellect.kube.case.model import Access, Case, RecordedList, RecordedLog, load, save
from kubectl_ai_intellect.kube.case.recorder import Recorder
from kubectl_ai_intellect.kube.case.replay import CaseSource
from kubectl_ai_intellect.kube.case.settled import record_settled
from kubectl_ai_intellect.kube.case.share import share

__all__ = [
    "Access",
    "Case",
    "CaseSource",
    "RecordedList",
    "RecordedLog",
    "Recorder",
    "load",
    "record_settled",
    "save",
    "share",
]

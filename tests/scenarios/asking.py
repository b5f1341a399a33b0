"""Ask the product: in this process, of a cluster or a recording, or as a user would, through kubectl."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kubectl_ai_intellect.cli.ask import ask_source
from kubectl_ai_intellect.cli.flags import Options
from kubectl_ai_intellect.kube.case import Case, CaseSource
from kubectl_ai_intellect.kube.config import Flags
from kubectl_ai_intellect.kube.source import Source
from tests.scenarios.cluster import Cluster

Report = dict[str, Any]


def ask(source: Source, question: str, namespace: str = "", *, everywhere: bool = False) -> Report:
    """What `-o json` prints, without the price of a process of its own."""
    flags = Flags(namespace=namespace or None, all_namespaces=everywhere)
    # As of a case, of which no session is kept: tests leave none behind in the user's directories.
    options = Options(flags=flags, words=tuple(question.split()), forced=True, source="here")
    return ask_source(options, source, lambda text: None, None).model_dump(mode="json")


def ask_case(case: Case, question: str = "", *, everywhere: bool = False) -> Report:
    """The same of a recording: as `--from FILE`, of a case in memory."""
    return ask(CaseSource(case), question or case.question, case.namespace, everywhere=everywhere)


def ask_through_kubectl(cluster: Cluster, namespace: str, question: str) -> Report:
    """`kubectl intellect …`, the installed plugin in a process of its own."""
    commands = Path(sys.executable).parent
    environment = {**os.environ, "NO_COLOR": "1", "PATH": f"{commands}{os.pathsep}{os.environ.get('PATH', '')}"}
    words = ["intellect", "--kubeconfig", str(cluster.kubeconfig), "-n", namespace, "-o", "json", "--", question]
    ran = subprocess.run(
        [cluster.kubectl, *words], capture_output=True, text=True, timeout=180, env=environment, check=False
    )
    if ran.returncode:
        raise AssertionError(f"kubectl intellect ended with {ran.returncode}: {ran.stderr.strip()}")
    return json.loads(ran.stdout)


def root(report: Mapping[str, Any]) -> tuple[str, str, str]:
    """Status, cause and object of an answer, to compare."""
    verdict = report.get("verdict")
    if verdict is None:
        return (str(report.get("kind")), str((report.get("answer") or {}).get("status", "")), "")
    at = verdict.get("object")
    return (verdict["status"], verdict.get("cause") or "", f"{at['kind']}/{at['name']}" if at else "")


__all__ = ["Report", "ask", "ask_case", "ask_through_kubectl", "root"]

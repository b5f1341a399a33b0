"""`kubectl intellect doctor`: what is there, what is not, what that costs, how to mend it."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from kubectl_ai_intellect.cli.flags import Options, colored, parse
from kubectl_ai_intellect.errors import IntellectError, UsageError

HELP = """Check what an answer needs: kubeconfig, API server, rights, model, embedder, index, disk, memory, clock, versions.

Usage:
  kubectl intellect doctor [-n NAMESPACE] [-o text|json|yaml]
  kubectl intellect doctor --role [-n NAMESPACE]

Each check is ok, degraded (answers are poorer for it; it says how) or failed, and says how to mend it.
Ends with 1 when a check failed, else with 0.

Options:
  --role               print the smallest ClusterRole that gives full service; with -n, a Role for that namespace
  -n, --namespace NAME ask for the rights in this namespace only
  --timeout DURATION   the time for all that is asked of the API server (default 10s)
  -o FORM              text, json, yaml

Examples:
  kubectl intellect doctor
  kubectl intellect doctor -o json
  kubectl intellect doctor --role | kubectl apply -f -
  kubectl intellect doctor --role -n payments
"""


def is_doctor(arguments: Sequence[str]) -> bool:
    """Whether this is the command: what follows are only flags. `doctor, my pod is ill` is a question."""
    if not arguments or arguments[0] != "doctor":
        return False
    rest = [each for each in arguments[1:] if each != "--role"]
    return "--role" in arguments[1:] or not parse(rest).words


def doctor(arguments: Sequence[str]) -> int:
    """Run the checks, print them, and return the exit code."""
    options = parse([each for each in arguments if each != "--role"])
    if options.help:
        print(HELP)
        return 0
    if options.words:
        raise UsageError(f"doctor takes no names ({' '.join(options.words)}); see `kubectl intellect doctor --help`")
    if options.output not in ("text", "wide", "json", "yaml"):
        raise UsageError(f"-o {options.output} is not a form of doctor's; take text, json or yaml")
    if "--role" in arguments:
        return _role(options)
    return _checked(options)


def _role(options: Options) -> int:
    """The role; for what this cluster serves where it answers, else for what every cluster has."""
    from kubectl_ai_intellect.doctor.cluster import PATIENCE
    from kubectl_ai_intellect.doctor.rights import OPTIONAL_GROUPS, RIGHTS, served
    from kubectl_ai_intellect.doctor.role import role
    from kubectl_ai_intellect.kube.session import connect

    namespace = "" if options.flags.all_namespaces else options.flags.namespace
    try:
        with connect(options.flags, options.seconds or PATIENCE) as cluster:
            rights, custom = served(cluster)
    except UsageError:
        raise
    except IntellectError as error:
        print(f"note: custom kinds are not known ({error})", file=sys.stderr)
        rights, custom = [each for each in RIGHTS if each.group not in OPTIONAL_GROUPS], []
    print(role(namespace, rights, custom), end="")
    return 0


def _checked(options: Options) -> int:
    from kubectl_ai_intellect.doctor import cluster, machine
    from kubectl_ai_intellect.doctor.check import report, worst

    found = cluster.Found()
    checks = [*cluster.checks(options.flags, options.seconds, found), *machine.checks()]
    where = found.connection
    whole = report(checks, where.context if where else "", where.namespace if where else "")
    if options.output == "json":
        import json

        print(json.dumps(whole, indent=2, ensure_ascii=False))
    elif options.output == "yaml":
        import yaml

        print(yaml.safe_dump(whole, sort_keys=False, allow_unicode=True), end="")
    else:
        from kubectl_ai_intellect.doctor.text import lines
        from kubectl_ai_intellect.render import paper_of

        print("\n".join(lines(checks, paper_of(sys.stdout, colored(options)))))
    if worst(checks) != "failed":
        return 0
    sys.stdout.flush()
    names = [each.name for each in checks if each.status == "failed" and each.mend]
    raise IntellectError(f"{', '.join(names)} failed; the lines above say how to mend it")


__all__ = ["HELP", "doctor", "is_doctor"]

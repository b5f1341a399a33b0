"""Packages that are put off: nothing of them is loaded until it is needed, and then they are what they are."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

HEAVY = """
    LOADED = True
    class Base:
        def greet(self): return "hello"
    class Trouble(Exception): pass
    def double(n): return 2 * n
"""


def ran(place: Path, library: str, script: str) -> str:
    """What a script prints that imports `library` while `heavy` is put off, in an interpreter of its own."""
    (place / "heavy").mkdir()
    (place / "heavy" / "__init__.py").write_text(textwrap.dedent(HEAVY) + "from heavy import inner\n")
    (place / "heavy" / "inner.py").write_text("def triple(n): return 3 * n\n")
    (place / "library.py").write_text(textwrap.dedent(library))
    begin = "import sys\nfrom kubectl_ai_intellect.deferred import Unloaded, deferring\nwith deferring('heavy'):\n"
    loaded = "\ndef loaded():\n    return hasattr(sys.modules.get('heavy'), 'LOADED')\n"
    text = begin + "    import library\n" + loaded + textwrap.dedent(script)
    done = subprocess.run([sys.executable, "-c", text], cwd=place, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_name_that_is_only_mentioned_loads_nothing(tmp_path: Path) -> None:
    library = """
        from __future__ import annotations
        from typing import Optional
        import heavy.inner
        from heavy import Base, double
        Maybe = Optional[Base]
        Either = Base | None
        def takes(one: Base) -> bool: return isinstance(one, Base)
    """
    script = """
        print(loaded(), library.takes(1), 'heavy' in sys.modules)
        import heavy
        print(loaded(), library.takes(heavy.Base()), library.takes(1))
    """
    assert ran(tmp_path, library, script).split("\n")[:2] == ["False False False", "True True False"]


def test_what_is_used_later_is_the_real_thing(tmp_path: Path) -> None:
    library = "import heavy.inner\nfrom heavy import Base, double\nfrom heavy import inner\n"
    script = """
        print(library.double(4), library.heavy.inner.triple(2), library.inner.triple(3), loaded())
        class Mine(library.Base): pass
        import heavy
        print(Mine().greet(), issubclass(Mine, heavy.Base), issubclass(Mine, library.Base))
    """
    assert ran(tmp_path, library, script).split("\n")[:2] == ["8 6 9 True", "hello True True"]


@pytest.mark.parametrize(
    "library",
    [
        "from heavy import Base\nclass Mine(Base): pass\nsaid = Mine().greet()",
        "from heavy import double\nsaid = 'hello' if double(2) == 4 else ''",
        "import heavy.inner\nsaid = 'hello' if heavy.inner.triple(2) == 6 else ''",
    ],
    ids=["a base class", "a call", "a call of a module's own"],
)
def test_what_a_library_needs_at_once_it_has_at_once(tmp_path: Path, library: str) -> None:
    assert ran(tmp_path, library, "print(library.said)") == "hello\n"


def test_the_product_loads_no_tracing_client_and_can_still_log_in() -> None:
    script = """
        import sys
        from kubectl_ai_intellect.deferred import Unloaded
        from kubectl_ai_intellect.investigate import engine
        from kubectl_ai_intellect.kube import official
        official.load(); engine.load()
        from langgraph.graph import END, START, StateGraph
        graph = StateGraph(dict)
        graph.add_node("one", lambda work: {"done": True}); graph.add_edge(START, "one"); graph.add_edge("one", END)
        print(graph.compile().invoke({}))
        heavy = ("langsmith", "langgraph_sdk", "requests", "oauthlib", "requests_oauthlib", "httpx", "rich")
        print([name for name in heavy if name in sys.modules and not isinstance(sys.modules[name], Unloaded)])
        from kubernetes.config import kube_config
        session = kube_config.OAuth2Session("us")
        import requests_oauthlib
        print(type(session) is requests_oauthlib.OAuth2Session)
        try:
            raise kube_config.oauthlib.oauth2.rfc6749.errors.InvalidClientIdError()
        except kube_config.oauthlib.oauth2.rfc6749.errors.InvalidClientIdError:
            print("caught")
    """
    text = textwrap.dedent(script)
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", text], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n") == ["{'done': True}", "[]", "True", "caught", ""]

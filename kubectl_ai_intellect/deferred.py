"""Loading others' libraries without loading all that they import.

LangGraph imports the clients of two hosted services, the official Kubernetes client a whole OAuth stack: together most
of what a short command takes, for code that we never run. Inside `deferring(...)` such packages are named but not
loaded. What is taken from them stands for the real thing, and turns into it, by an ordinary import, the moment it is
called, subclassed or looked into: nothing behaves differently, it is only loaded later or not at all.

Constants alone cannot turn into themselves: put off only packages of which none are taken.

The one deliberate exception is `ANSWERS`: whether to trace a run to LangSmith is answered here, with no.
"""

from __future__ import annotations

import importlib
import sys
import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, Union

NOT_TRACING = {"parent": None, "project_name": None, "tags": None, "metadata": None, "enabled": False, "client": None}

ANSWERS: dict[str, Callable[..., Any]] = {
    "langsmith.utils.tracing_is_enabled": lambda *_, **__: False,
    "langsmith.run_helpers.get_tracing_context": lambda *_, **__: dict(NOT_TRACING),
    "langsmith.run_helpers._set_tracing_context": lambda *_, **__: None,
}
"""What LangGraph asks the tracing client in every run, and what we say instead of it."""

THERE = frozenset({"langsmith.RunTree.model_dump"})
"""What is only asked whether it is there."""

PROBES = frozenset({"__file__", "__path__", "__wrapped__", "__signature__", "__origin__", "__mro__", "__test__"})
"""What typing, inspect and the import system ask of everything."""

_lock = threading.RLock()


class Later:
    """A name in a package that is not loaded yet: loaded when something is done with it."""

    def __init__(self, path: str) -> None:
        self.__path = path

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        return self.__real()(*arguments, **named)

    def __getattr__(self, name: str) -> Any:
        path = f"{self.__path}.{name}"
        if path in ANSWERS:
            return ANSWERS[path]
        if path in THERE:
            return Later(path)
        if name.startswith("__") and "pydantic" not in name:
            raise AttributeError(name)
        return getattr(self.__real(), name)

    def __mro_entries__(self, bases: tuple[Any, ...]) -> tuple[Any, ...]:
        return (self.__real(),)

    def __instancecheck__(self, instance: object) -> bool:
        return self.__loaded() and isinstance(instance, self.__real())  # what was never loaded has no instances

    def __subclasscheck__(self, other: type) -> bool:
        return self.__loaded() and issubclass(other, self.__real())

    def __getitem__(self, item: Any) -> Any:
        return self.__real()[item]

    def __or__(self, other: Any) -> Any:
        return Union[self, other]  # noqa: UP007  an annotation that is made at run time

    def __ror__(self, other: Any) -> Any:
        return Union[other, self]  # noqa: UP007

    def __loaded(self) -> bool:
        module = sys.modules.get(self.__path.rpartition(".")[0])
        return module is not None and not isinstance(module, Unloaded)

    def __real(self) -> Any:
        """The thing itself: a module, or something in one."""
        _wake()
        path, *rest = self.__path.split(".")
        found: Any = importlib.import_module(path)
        for name in rest:
            path = f"{path}.{name}"
            try:
                found = getattr(found, name)
            except AttributeError:
                found = importlib.import_module(path)
        return found


class Unloaded(ModuleType):
    """Stands for a module until something in it is needed."""

    def __getattr__(self, name: str) -> Any:
        path = f"{self.__name__}.{name}"
        if name in PROBES:
            raise AttributeError(name)
        if name.startswith("__"):
            _wake()
            return getattr(importlib.import_module(self.__name__), name)
        found = ANSWERS.get(path) or Later(path)
        setattr(self, name, found)
        return found


class _Finder(MetaPathFinder, Loader):
    """Finds the packages that are put off, before anything that would load them."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = set(names)

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> ModuleSpec | None:
        if any(fullname == name or fullname.startswith(f"{name}.") for name in self.names):
            return ModuleSpec(fullname, self, is_package=True)
        return None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return Unloaded(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        return


@contextmanager
def deferring(*names: str, kept: Sequence[str] = ()) -> Generator[None]:
    """Put off these packages in the imports that follow; `kept` ones stay put off afterwards.

    The others are ordinary again for whoever imports them next.
    """
    wanted = [name for name in (*names, *kept) if name not in sys.modules]
    finder = _Finder(wanted)
    with _lock:
        sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        with _lock:
            for name in names:
                _forget(name)
            finder.names &= set(kept)
            if not finder.names:
                sys.meta_path.remove(finder)


def _wake() -> None:
    """Something is needed after all: from now on everything is imported as usual."""
    with _lock:
        for finder in [each for each in sys.meta_path if isinstance(each, _Finder)]:
            for name in finder.names:
                _forget(name)
            finder.names = set()


def _forget(package: str) -> None:
    """Take the stand-ins of a package out of the way of the real thing."""
    for name, module in list(sys.modules.items()):
        if isinstance(module, Unloaded) and (name == package or name.startswith(f"{package}.")):
            del sys.modules[name]
            parent, _, child = name.rpartition(".")
            holder = sys.modules.get(parent)
            if holder is not None and getattr(holder, child, None) is module:
                delattr(holder, child)


__all__ = ["ANSWERS", "Later", "Unloaded", "deferring"]

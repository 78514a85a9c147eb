"""Tells when a module has been imported, and never imports it by itself."""

import sys
from collections.abc import Callable, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

__all__ = ["forget", "when_imported"]

_waiting: dict[str, Callable[[], None]] = {}


def when_imported(module: str, then: Callable[[], None]) -> None:
    """Calls `then` once, in the thread that imports the module, when its code has run.

    `then` must not raise. A module that is there already is not waited for.
    """
    _waiting[module] = then
    if _finder not in sys.meta_path:
        sys.meta_path.insert(0, _finder)


def forget(module: str) -> None:
    """Nobody waits for the module any more."""
    _waiting.pop(module, None)
    if not _waiting and _finder in sys.meta_path:
        sys.meta_path.remove(_finder)


class _Finder(MetaPathFinder):
    """Finds nothing by itself: it wraps the loader that another one found."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname not in _waiting:
            return None
        for finder in list(sys.meta_path):
            spec = None if finder is self else finder.find_spec(fullname, path, target)
            if spec is not None:
                if spec.loader is not None:
                    spec.loader = _Loader(fullname, spec.loader)
                return spec
        return None


class _Loader(Loader):
    """Loads as the module's own loader does, which it then leaves behind in its place."""

    def __init__(self, module: str, own: Loader) -> None:
        self._module = module
        self._own = own

    def __getattr__(self, name: str) -> object:
        return getattr(self._own, name)

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._own.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        if module.__spec__ is not None:
            module.__spec__.loader = self._own
        module.__loader__ = self._own
        self._own.exec_module(module)
        then = _waiting.get(self._module)
        forget(self._module)
        if then is not None:
            then()


_finder = _Finder()

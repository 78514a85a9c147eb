"""Wraps a method in every class that overrides it: those there are, and those to come.

For frameworks whose models are subclasses of one abstract class, each with a `call` of its own.
"""

from collections.abc import Iterator
from typing import Any

from tollway.producers.adapters.patching import Patches, Wrapper

__all__ = ["wrap_overrides"]


def wrap_overrides(patches: Patches, root: type[Any], wrappers: dict[str, Wrapper]) -> None:
    """Each override, by its own: where one calls another, both are wrapped, and are one call.

    What `root` itself has is left alone: there it is abstract.
    """
    for kind in _below(root):
        _wrap(patches, kind, wrappers)

    def initialised(original: Any) -> Any:  # noqa: ANN401 (a classmethod, or one bound to its class)
        def made(kind: Any, /, **kwargs: object) -> None:  # noqa: ANN401 (a class below `root`)
            if isinstance(original, classmethod):
                original.__func__(kind, **kwargs)
            else:
                # Inherited: the next one above `root`, for the class that is being made.
                super(root, kind).__init_subclass__(**kwargs)
            _wrap(patches, kind, wrappers)

        return classmethod(made)

    patches.wrap(root, "__init_subclass__", initialised)


def _below(root: type) -> Iterator[type]:
    below: list[type] = root.__subclasses__()
    for kind in below:
        yield kind
        yield from _below(kind)


def _wrap(patches: Patches, kind: type, wrappers: dict[str, Wrapper]) -> None:
    for name, wrapper in wrappers.items():
        method = vars(kind).get(name)
        if callable(method) and not getattr(method, "__isabstractmethod__", False):
            patches.wrap(kind, name, wrapper)

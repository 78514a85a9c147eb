"""Puts wrappers in the place of a framework's functions, and takes them away again."""

from collections.abc import Callable
from typing import Any, Final

__all__ = ["Patches"]

# What a wrapper looks like to `Patches`: given the original, the one to call in its place.
Wrapper = Callable[[Callable[..., Any]], Callable[..., Any]]  # whatever the framework's take
# In the place of an original that a class has from its parents: taken off again, not written down.
_INHERITED: Final = object()


class Patches:
    """A set of replacements of one adapter; `undo` is its `Detach`."""

    def __init__(self) -> None:
        self._replaced: list[tuple[object, str, object, object]] = []

    def wrap(self, owner: object, name: str, wrapper: Wrapper) -> None:
        """Replaces `owner.name` (a function of a class or of a module) by its wrapped self.

        Raises `AttributeError` where the framework has no such name: it is of another version.
        """
        own: Any = vars(owner).get(name, _INHERITED)  # whatever stands there
        wrapped = wrapper(getattr(owner, name) if own is _INHERITED else own)
        setattr(owner, name, wrapped)
        self._replaced.append((owner, name, own, wrapped))

    def undo(self) -> None:
        """The last first. What somebody else has replaced since stays: it may call ours."""
        while self._replaced:
            owner, name, own, wrapped = self._replaced.pop()
            if vars(owner).get(name) is not wrapped:
                continue
            if own is _INHERITED:
                delattr(owner, name)
            else:
                setattr(owner, name, own)

"""Puts wrappers in the place of a framework's functions, and takes them away again."""

from collections.abc import Callable
from typing import Any

__all__ = ["Patches"]

# What a wrapper looks like to `Patches`: given the original, the one to call in its place.
Wrapper = Callable[[Callable[..., Any]], Callable[..., Any]]  # whatever the framework's take


class Patches:
    """A set of replacements of one adapter; `undo` is its `Detach`."""

    def __init__(self) -> None:
        self._replaced: list[tuple[object, str, object, object]] = []

    def wrap(self, owner: object, name: str, wrapper: Wrapper) -> None:
        """Replaces `owner.name` (a function of a class or of a module) by its wrapped self.

        Raises `AttributeError` where the framework has no such name: it is of another version.
        """
        original = vars(owner)[name] if name in vars(owner) else getattr(owner, name)
        wrapped = wrapper(original)
        setattr(owner, name, wrapped)
        self._replaced.append((owner, name, original, wrapped))

    def undo(self) -> None:
        """The last first. What somebody else has replaced since stays: it may call ours."""
        while self._replaced:
            owner, name, original, wrapped = self._replaced.pop()
            if vars(owner).get(name) is wrapped:
                setattr(owner, name, original)

"""What an agent may catch: BadSettings at `init`, CallBlocked and SpendWarning at `check`."""

import sys
import warnings
from types import FrameType
from typing import Final

from tollway.contract.control import Decision

__all__ = ["BadSettings", "CallBlocked", "SpendWarning", "warn_of"]

_OURS: Final = ("tollway.", "contextlib")


class BadSettings(ValueError):
    """`init` cannot work with these settings; the message says what to change."""


class CallBlocked(Exception):
    """A standing decision forbids the call; or nobody can say, and the policy is `closed`.

    `decision` is None where the guard is not fresh and the policy is the process's own. `spent` and
    `limit` are decimal strings in the decision's `unit`; `expires_at` None means until lifted.
    """

    def __init__(self, message: str, reason: str, decision: Decision | None = None) -> None:
        # All arguments are in `args`, so that the exception survives pickling to another process.
        super().__init__(message, reason, decision)
        self.message = message
        self.reason = reason
        self.decision = decision
        self.spent = decision.spent if decision else None
        self.limit = decision.limit if decision else None
        self.expires_at = decision.expires_at if decision else None
        # Of a call that was made and then found to be one too many: what it gave, and was paid for.
        self.result: object = None

    def __str__(self) -> str:
        return self.message


class SpendWarning(UserWarning):
    """A subject nears its limit; `decision.fallback_model` may name a cheaper model."""

    def __init__(self, message: str, decision: Decision) -> None:
        super().__init__(message, decision)
        self.message = message
        self.decision = decision

    def __str__(self) -> str:
        return self.message


def warn_of(decision: Decision, text: str) -> None:
    """Warns whoever called into the SDK, however deep inside of it this is.

    Raises the `SpendWarning` where the host's filter makes errors of it.
    """
    level = 1
    frame: FrameType | None = sys._getframe()
    while frame is not None and str(frame.f_globals.get("__name__")).startswith(_OURS):
        level, frame = level + 1, frame.f_back
    warnings.warn(SpendWarning(text, decision), stacklevel=level)

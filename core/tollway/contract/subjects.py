"""Dimensions, and the subjects that budgets and decisions are about."""

import re
from functools import lru_cache
from typing import Final, Literal
from urllib.parse import quote

__all__ = ["DIMENSIONS", "Dimension", "Subject", "encode_name", "encode_subject"]

Dimension = Literal[
    "agent", "session", "connection", "user", "customer", "provider", "model", "tool"
]
DIMENSIONS: tuple[Dimension, ...] = (
    "agent",
    "session",
    "connection",
    "user",
    "customer",
    "provider",
    "model",
    "tool",
)
# A value for each dimension named; an absent dimension means any value.
Subject = dict[str, str]


# What names have most often, with its code; the percent sign first, or codes would be coded again.
_CODES: Final = [(character, quote(character, safe="")) for character in "%/:#@ |&="]
_is_coded: Final = re.compile(r"[A-Za-z0-9_.~%-]*").fullmatch


@lru_cache(maxsize=65_536)
def encode_name(name: str) -> str:
    """A name as part of a key: no separator of ours is left in it.

    As `quote(name, safe="")`, at a fraction of its cost: every new run has a new name.
    """
    text = name
    for character, code in _CODES:
        if character in text:
            text = text.replace(character, code)
    return text if _is_coded(text) else quote(name, safe="")


def encode_subject(subject: Subject) -> str:
    """A subject as text, the same for equal subjects: ``agent=bot&model=gpt-4o``; ``*`` for all."""
    if not subject:
        return "*"
    return "&".join(f"{name}={encode_name(subject[name])}" for name in sorted(subject))

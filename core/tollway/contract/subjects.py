"""Dimensions, and the subjects that budgets and decisions are about."""

from functools import lru_cache
from typing import Literal
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


@lru_cache(maxsize=65_536)
def encode_name(name: str) -> str:
    """A name as part of a key: no separator of ours is left in it."""
    return quote(name, safe="")


def encode_subject(subject: Subject) -> str:
    """A subject as text, the same for equal subjects: ``agent=bot&model=gpt-4o``; ``*`` for all."""
    if not subject:
        return "*"
    return "&".join(f"{name}={encode_name(subject[name])}" for name in sorted(subject))

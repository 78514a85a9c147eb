"""Dimensions, and the subjects that budgets and decisions are about."""

from typing import Literal
from urllib.parse import quote

__all__ = ["DIMENSIONS", "Dimension", "Subject", "encode_subject"]

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


def encode_subject(subject: Subject) -> str:
    """A subject as text, the same for equal subjects: ``agent=bot&model=gpt-4o``; ``*`` for all."""
    if not subject:
        return "*"
    return "&".join(f"{name}={quote(subject[name], safe='')}" for name in sorted(subject))

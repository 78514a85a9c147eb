"""What a detector says when it sees something: a level, a sentence with the figures, evidence."""

from typing import Final, Literal, NamedTuple

from tollway.contract.money import format_usd

__all__ = ["Sighting", "dollars", "quoted"]

# Names come from agents; a message stays readable with the beginning of a long one.
_MAX_NAME_IN_MESSAGE: Final = 80
_CENTS: Final = 2


class Sighting(NamedTuple):
    """One detector's view of one event; `level="block"` asks for the run to be stopped.

    `evidence` holds the figures: dollars as decimal strings with twelve digits, counts as integers.
    """

    detector: str
    level: Literal["warn", "block"]
    message: str
    evidence: dict[str, str]


def dollars(pico: int) -> str:
    """An amount for people: ``$1.25``, ``$0.000123``; cents at least, and nothing rounded off."""
    whole, fraction = format_usd(pico).split(".")
    return f"${whole}.{fraction.rstrip('0').ljust(_CENTS, '0')}"


def quoted(name: str) -> str:
    """A name for a message, cut where it is too long to read."""
    if len(name) <= _MAX_NAME_IN_MESSAGE:
        return name
    return name[:_MAX_NAME_IN_MESSAGE] + "…"

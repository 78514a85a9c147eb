"""What providers answer instead of an answer."""

from tollway.producers.responses.fields import Fields
from tollway.producers.responses.seen import Seen

__all__ = ["read_error"]


def read_error(_: Fields, seen: Seen) -> None:
    """Costs nothing where nothing of an answer came before; its text stays where it is."""
    seen.failed = True

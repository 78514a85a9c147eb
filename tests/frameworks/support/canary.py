"""A canary in every prompt: its text must be found nowhere but in the provider's requests."""

import logging
from collections.abc import Iterable
from typing import Final

from answering import Seen

__all__ = ["CANARY", "PROMPT", "assert_silent", "assert_sung"]

CANARY: Final = "canary7Qx4"
# What the tests ask: any prompt will do that contains the canary.
PROMPT: Final = f"Say hello. {CANARY}"


def assert_sung(requests: Iterable[Seen]) -> None:
    """That the provider was told the canary at all: else its absence elsewhere says nothing."""
    bodies = [seen.body for seen in requests if seen.method == "POST"]
    assert not bodies or any(CANARY.encode() in body for body in bodies), (
        "no prompt of this test has the canary in it: use PROMPT"
    )


def assert_silent(
    wire: Iterable[tuple[bytes, bytes]],
    records: Iterable[logging.LogRecord],
    errors: Iterable[str],
) -> None:
    """That no event, no log record of ours and no error of ours has the canary."""
    told = [value for pair in wire for value in pair if CANARY.encode() in value]
    assert told == [], "a prompt left the process in a usage event"
    logged = [
        f"{record.name}: {record.getMessage()}"
        for record in records
        if record.name.startswith("tollway")
        and CANARY in f"{record.getMessage()} {record.args} {record.exc_info} {record.exc_text}"
    ]
    assert logged == [], "a prompt is in a log record"
    assert [text for text in errors if CANARY in text] == [], "a prompt is in an error's text"

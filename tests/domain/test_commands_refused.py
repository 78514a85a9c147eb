"""What is no command: a dead letter that says why, and the next command is obeyed."""

import pytest

from ledgers import Log, budget, command

BAD = [
    (b"", "malformed_command"),
    (b"{}", "malformed_command"),
    (b"\xff", "malformed_command"),
    (b"[" * 100_000, "malformed_command"),
    (command("fly"), "unknown_command"),
    (command("budget.set"), "malformed_command"),
    (command("budget.set", budget=budget(limit_usd="-1")), "malformed_command"),
    (command("budget.set", budget=budget(limit_usd="NaN")), "malformed_command"),
    (command("budget.set", budget=budget(limit_usd="1", limit_calls=1)), "malformed_command"),
    (command("budget.set", budget=budget(limit_usd=None)), "malformed_command"),
    (command("budget.set", budget=budget(window="year")), "malformed_command"),
    (command("budget.set", budget=budget(window="rolling:32d")), "malformed_command"),
    (command("budget.set", budget=budget(window="rolling:0s")), "malformed_command"),
    (command("budget.set", budget=budget(window="run")), "malformed_command"),
    (command("budget.set", budget=budget(thresholds_percent=[90, 70])), "malformed_command"),
    (command("budget.set", budget=budget(thresholds_percent=[])), "malformed_command"),
    (command("budget.set", budget=budget(mode="hard")), "malformed_command"),
    (command("budget.set", budget=budget(colour="red")), "malformed_command"),
    (command("budget.set", budget=budget(match={"colour": "red"})), "malformed_command"),
    (command("policy.set", policy={"detectors": {"off": ["luck"]}}), "malformed_command"),
    (command("policy.set", policy={"detectors": {"numbers": {"luck": 7}}}), "malformed_command"),
    (command("block", expires_at="2026-03-10T12:00:00"), "malformed_command"),
    (command("block", workspace=""), "malformed_command"),
] + [
    (command("budget.set", budget=budget(zone=zone)), "malformed_command")
    for zone in ("", "Europe", "Mars/Base", "../../etc/passwd", "x" * 5_000, "\u0000", "Europe/")
]


@pytest.mark.parametrize(("value", "reason"), BAD, ids=[f"{n}-{r}" for n, (_, r) in enumerate(BAD)])
def test_what_is_no_command_becomes_a_dead_letter(value: bytes, reason: str) -> None:
    log = Log().tell(value).set_budget().spend("1")
    (letter,) = log.letters
    assert (letter.reason, letter.topic, letter.offset) == (reason, "tollway.commands", 0)
    assert log.in_force() == "block"

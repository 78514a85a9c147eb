"""Decisions and findings: how a verdict is written, and which verdicts stand."""

from hashlib import blake2b
from typing import Final

from tollway.contract.control import Action, Cause, Decision, Finding, Version
from tollway.contract.ledger_entries import DecisionEntry, LedgerEntry
from tollway.contract.moments import format_ms
from tollway.contract.subjects import Subject, encode_name, encode_subject
from tollway.domain.accounts import Account
from tollway.domain.budgets import UNITS
from tollway.domain.calendar import FOREVER_MS
from tollway.domain.crowding import VERDICTS, Crowds
from tollway.domain.stateful import Changes, Stateful, Wheel

__all__ = ["Moment", "Standing", "Verdicts", "budget_decision", "identity", "lift"]


class Moment:
    """Where the log stands when a verdict is made: its version, its cause, its time."""

    __slots__ = (
        "by_command",
        "commands",
        "event_id",
        "generation",
        "offset",
        "partition",
        "time_ms",
    )

    def __init__(self, partition: int, generation: int) -> None:
        self.partition = partition
        self.generation = generation
        self.offset = -1
        self.commands = -1
        self.event_id = ""
        self.time_ms = 0
        # Whether a command decides and not the usage record at `offset`.
        self.by_command = False

    def version(self) -> Version:
        return (self.generation, self.offset, self.commands)

    def cause(self) -> Cause:
        offset = -1 if self.by_command else self.offset
        return Cause(partition=self.partition, offset=offset, event_id=self.event_id)


def identity(*parts: object) -> str:
    """An id that is the same whenever the same log is read again."""
    return blake2b("\0".join(map(str, parts)).encode(), digest_size=16).hexdigest()


class Standing(Stateful):
    """The verdict in force about one (workspace, subject, rule)."""

    __slots__ = ("decision", "expires_ms", "text")

    def __init__(self, decision: Decision, expires_ms: int) -> None:
        super().__init__()
        self.decision = decision
        self.expires_ms = expires_ms
        self.text = standing_key(decision.workspace, decision.subject, decision.rule)

    def key(self) -> str:
        return self.text

    def entry(self, stamp: int) -> LedgerEntry:
        return DecisionEntry(decision=self.decision)


def standing_key(workspace: str, subject: Subject, rule: str) -> str:
    return f"decision|{encode_name(workspace)}|{encode_subject(subject)}|{rule}"


_SLOT_MS: Final = 60_000


class Verdicts:
    """The verdicts that stand in a partition, and what has been decided since it was last asked."""

    __slots__ = ("changes", "crowds", "made", "standing", "wheel")

    standing: dict[str, Standing]
    made: list[Decision | Finding]

    def __init__(self, changes: Changes, crowds: Crowds) -> None:
        self.changes = changes
        self.crowds = crowds
        self.standing = {}
        self.made = []
        self.wheel = Wheel()

    def decide(self, decision: Decision, expires_ms: int, now_ms: int) -> None:
        """Issues a decision, unless it is over already or would soften a block that stands.

        A warning never replaces a standing block, nor does a budget's block that would end
        earlier: only `allow` lifts one, or its own end. A person may shorten their own block.
        """
        if expires_ms <= now_ms:
            return
        fresh = Standing(decision, expires_ms)
        key = fresh.key()
        held = self.standing.get(key)
        if held is not None and held.expires_ms > now_ms and _softens(held, fresh):
            return
        crowds = self.crowds
        if held is None and decision.action == "warn" and crowds.is_over(VERDICTS):
            # Blocks are held however many there are: let go, they could be neither told anew to
            # whoever begins nor lifted.
            crowds.note(VERDICTS, 1)
            return
        self.made.append(decision)
        if held is not None:
            held.decision, held.expires_ms = decision, expires_ms
            fresh = held
        if decision.action == "allow":
            if held is not None:
                self.forget(held)
            return
        if held is None:
            crowds.add(VERDICTS)
        self.standing[key] = fresh
        self.changes.touch(fresh)
        if expires_ms < FOREVER_MS:
            self.wheel.put(fresh, expires_ms // _SLOT_MS + 1)

    def turn(self, now_ms: int) -> None:
        """Forgets what has lapsed; readers have let it lapse by themselves."""
        for piece in self.wheel.turn(now_ms // _SLOT_MS):
            assert isinstance(piece, Standing)
            if piece.expires_ms <= now_ms:
                self.forget(piece)

    def forget(self, held: Standing) -> None:
        """Whoever was told of it obeys it until it ends."""
        if self.standing.pop(held.key(), None) is not None:
            self.crowds.leave(VERDICTS)
        self.changes.drop(held)

    def withdraw(self, decision: Decision) -> None:
        """Forgets a decision without a word, so that another may follow, softer or shorter.

        Two decisions of one version about one key would leave to chance which of them holds.
        """
        held = self.standing.get(standing_key(decision.workspace, decision.subject, decision.rule))
        if held is not None:
            self.forget(held)

    def stands(self, workspace: str, subject: Subject, rule: str, now_ms: int) -> Decision | None:
        held = self.standing.get(standing_key(workspace, subject, rule))
        return None if held is None or held.expires_ms <= now_ms else held.decision

    def restore(self, decision: Decision, expires_ms: int) -> None:
        piece = Standing(decision, expires_ms)
        self.crowds.add(VERDICTS)
        self.standing[piece.key()] = piece
        if expires_ms < FOREVER_MS:
            self.wheel.put(piece, expires_ms // _SLOT_MS + 1)


def _softens(held: Standing, fresh: Standing) -> bool:
    action, rule = fresh.decision.action, fresh.decision.rule
    ends_earlier = fresh.expires_ms < held.expires_ms
    return held.decision.action == "block" and (
        action == "warn" or (action == "block" and rule != "manual" and ends_earlier)
    )


def budget_decision(account: Account, percent: int, moment: Moment, idle_end_ms: int) -> Decision:
    """What a budget says when an account has crossed the threshold of `percent`."""
    rule = account.rule
    action: Action = "block" if rule.action_at(percent) == "block" else "warn"
    amount = account.amount()
    spent, limit = rule.text(amount), rule.text(rule.limit)
    state = "exceeded" if amount > rule.limit else "exhausted" if amount == rule.limit else "near"
    lapses = account.lapses_ms(percent, idle_end_ms)
    who = encode_subject(account.subject)
    unit = UNITS[rule.unit]
    return Decision(
        id=identity(rule.workspace, who, rule.name, account.start_ms, percent, *moment.version()),
        workspace=rule.workspace,
        subject=account.subject,
        rule=rule.name,
        action=action,
        mode=rule.budget.mode,
        on_stale=rule.budget.on_stale,
        reason=f"budget_{state}",
        message=(
            f"budget {rule.budget.id!r} of {'the workspace' if who == '*' else who} is {state}:"
            f" {spent} of {limit} {unit} in window {rule.window} ({percent} %)"
        ),
        unit=unit,  # type: ignore[arg-type]  # UNITS holds the words of the Literal
        spent=spent,
        limit=limit,
        threshold_percent=percent,
        window=rule.window,
        window_start=format_ms(account.start_ms) if account.end_ms < FOREVER_MS else None,
        fallback_model=rule.budget.fallback_model,
        expires_at=None if lapses >= FOREVER_MS else format_ms(lapses),
        cause=moment.cause(),
        version=moment.version(),
        issued_at=format_ms(moment.time_ms),
    )


def lift(held: Decision, message: str, moment: Moment) -> Decision:
    """Lifts a decision: what stood is allowed again."""
    subject = encode_subject(held.subject)
    return Decision(
        id=identity(held.workspace, subject, held.rule, "allow", *moment.version()),
        workspace=held.workspace,
        subject=held.subject,
        rule=held.rule,
        action="allow",
        mode=held.mode,
        on_stale=held.on_stale,
        reason="lifted",
        message=message,
        unit=held.unit,
        spent=held.spent,
        limit=held.limit,
        window=held.window,
        window_start=held.window_start,
        cause=moment.cause(),
        version=moment.version(),
        issued_at=format_ms(moment.time_ms),
    )

"""The decisions in force about one workspace, found by what a call is attributed to.

Read by many threads while one thread writes, without a lock: what a reader meets is immutable
(`Standing`, the tuples of shapes) and is replaced by one assignment.
"""

from collections.abc import Iterable, Mapping
from typing import Generic, TypeVar

from tollway.contract.control import Decision, Version, control_key
from tollway.contract.moments import parse_ms
from tollway.contract.subjects import Subject, encode_subject

__all__ = ["MAX_DECISIONS", "NEVER_MS", "DecisionIndex", "InForce", "Standing", "concerns"]

# A decision takes 1 to 2 KiB here. At the limit what blocks nobody leaves first.
MAX_DECISIONS = 100_000
# Later than any moment: what does not expire.
NEVER_MS = 2**63
# A lift is remembered this long, so that what it lifted cannot come back.
_LIFTS_KEPT_MS = 10 * 60 * 1000
_FIRST_SWEEP = 10_000
_SWEEP_INTERVAL_MS = 10_000

Found = TypeVar("Found")
Key = TypeVar("Key")


def concerns(subject: Subject, dimensions: Mapping[str, object]) -> bool:
    """Whether a decision about `subject` is about a call with these dimensions."""
    return all(dimensions.get(name) == value for name, value in subject.items())


class InForce:
    """One decision as the guard holds it."""

    __slots__ = ("decision", "expires_ms", "unsaid")

    def __init__(self, decision: Decision) -> None:
        self.decision = decision
        expires_at = decision.expires_at
        self.expires_ms = NEVER_MS if expires_at is None else parse_ms(expires_at)
        # Popped by the first caller whom it warns: `pop` gives it to one thread.
        self.unsaid = [True]

    def endurance(self) -> tuple[int, tuple[int, ...]]:
        """Sorts what lasts longest first; of equals, what was decided first."""
        return -self.expires_ms, self.decision.version


class Standing:
    """What is in force about one subject, what lasts longest first."""

    __slots__ = ("blocks", "warnings")

    def __init__(self, decisions: Iterable[InForce]) -> None:
        ordered = sorted(decisions, key=InForce.endurance)
        self.blocks = tuple(held for held in ordered if held.decision.action == "block")
        self.warnings = tuple(held for held in ordered if held.decision.action == "warn")


class _BySubject(Generic[Found]):
    """Values by subject: a dictionary for each shape, that is, for each set of dimensions."""

    __slots__ = ("_chosen", "_mentions", "_several", "_single", "_whole")

    def __init__(self) -> None:
        # One value of each subject, and how many chose it.
        self._mentions: dict[object, int] = {}
        self._chosen: dict[tuple[tuple[str, ...], object], object] = {}
        self._whole: tuple[Found, ...] = ()
        self._single: tuple[tuple[str, dict[object, Found]], ...] = ()
        # The first name, the others, and values by the first one's value, then by the others'.
        self._several: tuple[
            tuple[str, tuple[str, ...], dict[object, dict[tuple[object, ...], Found]]], ...
        ] = ()

    def matching(self, dimensions: dict[str, object]) -> tuple[Found, ...]:
        """Of every subject that a call with these dimensions falls under. The hot path."""
        found = self._whole
        # Most calls share no value with any subject, and this one step sees it.
        if self._mentions.keys().isdisjoint(dimensions.values()):
            return found
        get = dimensions.get
        for name, by_value in self._single:
            value = by_value.get(get(name))
            if value is not None:
                found = (*found, value)
        for name, others, by_first in self._several:
            by_others = by_first.get(get(name))
            if by_others is not None:
                value = by_others.get(tuple(map(get, others)))
                if value is not None:
                    found = (*found, value)
        return found

    def put(self, subject: Subject, value: Found | None) -> None:
        """Sets the subject's value; None takes it away."""
        names = tuple(sorted(subject))
        values = tuple([subject[name] for name in names])
        if value is None:
            self._forget(names, values)
        elif names:
            self._mention(names, values)
        if not names:
            self._whole = () if value is None else (value,)
        elif len(names) == 1:
            _put(self._shape_of_one(names[0]), values[0], value)
        else:
            by_others = self._shape_of(names).setdefault(values[0], {})
            _put(by_others, values[1:], value)
            if not by_others:
                del self._shape_of(names)[values[0]]

    def _mention(self, names: tuple[str, ...], values: tuple[str, ...]) -> None:
        if (names, values) not in self._chosen:
            # The value that fewest share: it sends fewest calls the long way.
            rarest = min(values, key=lambda value: self._mentions.get(value, 0))
            self._chosen[names, values] = rarest
            self._mentions[rarest] = self._mentions.get(rarest, 0) + 1

    def _forget(self, names: tuple[str, ...], values: tuple[str, ...]) -> None:
        chosen = self._chosen.pop((names, values), None)
        if chosen is not None:
            self._mentions[chosen] -= 1
            if not self._mentions[chosen]:
                del self._mentions[chosen]

    def _shape_of_one(self, name: str) -> dict[object, Found]:
        for known, by_value in self._single:
            if known == name:
                return by_value
        new: dict[object, Found] = {}
        self._single = (*self._single, (name, new))
        return new

    def _shape_of(self, names: tuple[str, ...]) -> dict[object, dict[tuple[object, ...], Found]]:
        first, others = names[0], names[1:]
        for known, known_others, by_first in self._several:
            if known == first and known_others == others:
                return by_first
        new: dict[object, dict[tuple[object, ...], Found]] = {}
        self._several = (*self._several, (first, others, new))
        return new


def _put(found: dict[Key, Found], key: Key, value: Found | None) -> None:
    if value is None:
        found.pop(key, None)
    else:
        found[key] = value


class DecisionIndex:
    """The newest decision about each (subject, rule), whatever order they arrive in."""

    def __init__(self) -> None:
        self._held: dict[str, InForce] = {}
        self._keys: dict[str, set[str]] = {}
        self._standing: _BySubject[Standing] = _BySubject()
        self._closed: _BySubject[Decision] = _BySubject()
        # Another object after each change: who found nothing under this one need not look again.
        self.edition = object()
        self._sweep_at = _FIRST_SWEEP
        self._swept_ms = 0
        # New decisions that found no room among as many standing blocks.
        self.refused = 0
        self.matching = self._standing.matching
        # Decisions of subjects whose budget says: without knowledge, no call.
        self.closed = self._closed.matching

    def __len__(self) -> int:
        return len(self._held)

    def version(self, key: str) -> Version | None:
        held = self._held.get(key)
        return None if held is None else held.decision.version

    def apply(self, decision: Decision, now_ms: int) -> bool:
        """Holds the decision if it is newer than what is held; says whether it was."""
        key = control_key(decision)
        held = self._held.get(key)
        if held is not None and _age(decision) <= _age(held.decision):
            return False
        if held is None and not self._has_room(now_ms):
            self.refused += 1
            return False
        self._held[key] = InForce(decision)
        self._keys.setdefault(encode_subject(decision.subject), set()).add(key)
        self._stand(decision.subject)
        return True

    def forget(self, key: str) -> None:
        """The record was deleted: as if it had never been."""
        held = self._held.pop(key, None)
        if held is None:
            return
        subject = held.decision.subject
        text = encode_subject(subject)
        keys = self._keys[text]
        keys.discard(key)
        if not keys:
            del self._keys[text]
        self._stand(subject)

    def _stand(self, subject: Subject) -> None:
        keys = self._keys.get(encode_subject(subject), ())
        held = [self._held[key] for key in keys if self._held[key].decision.mode != "observe"]
        standing = Standing(held)
        self._standing.put(subject, standing if standing.blocks or standing.warnings else None)
        closed = [entry.decision for entry in held if entry.decision.on_stale == "closed"]
        newest = max(closed, key=lambda decision: decision.version, default=None)
        self._closed.put(subject, newest)
        # Last: who reads the new one finds what changed.
        self.edition = object()

    def _has_room(self, now_ms: int) -> bool:
        full = len(self._held) >= self._sweep_at
        # A sweep looks at every decision: not for each one that arrives.
        if full and now_ms - self._swept_ms >= _SWEEP_INTERVAL_MS:
            self._swept_ms = now_ms
            self._sweep(now_ms)
        return len(self._held) < MAX_DECISIONS

    def _sweep(self, now_ms: int) -> None:
        spent = [key for key, held in self._held.items() if _is_spent(held, now_ms)]
        if len(self._held) - len(spent) >= MAX_DECISIONS:
            spent = [key for key, held in self._held.items() if not _blocks(held, now_ms)]
        for key in spent:
            self.forget(key)
        self._sweep_at = min(MAX_DECISIONS, max(_FIRST_SWEEP, 2 * len(self._held)))


def _age(decision: Decision) -> tuple[Version, int]:
    """Sorts decisions about one key by when they were made.

    One event that jumps over several thresholds makes a decision for each, all of one version: the
    higher threshold speaks. An edit that lifts and warns again does so in that order.
    """
    return decision.version, decision.threshold_percent or 0


def _is_spent(held: InForce, now_ms: int) -> bool:
    if held.decision.on_stale == "closed":
        return False
    if held.decision.action == "allow":
        return parse_ms(held.decision.issued_at) < now_ms - _LIFTS_KEPT_MS
    return held.expires_ms <= now_ms


def _blocks(held: InForce, now_ms: int) -> bool:
    return held.decision.action == "block" and held.expires_ms > now_ms

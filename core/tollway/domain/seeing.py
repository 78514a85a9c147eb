"""Whether an event was booked before: asked of its producer's numbers, then of fingerprints."""

from tollway.domain.calendar import HOUR_MS
from tollway.domain.crowding import GAPS, LIMITS, PRODUCERS, Crowds
from tollway.domain.dedup import Fingerprints, Producer, fingerprint
from tollway.domain.leaving import Sweeper
from tollway.domain.stateful import Changes
from tollway.domain.usage import Usage
from tollway.domain.workspaces import Workspace

__all__ = ["Seen"]


class Seen:
    """What a partition knows of events that came before."""

    __slots__ = ("changes", "counts", "crowds", "prints", "sweeper")

    counts: dict[str, int]

    def __init__(
        self, changes: Changes, counts: dict[str, int], crowds: Crowds, sweeper: Sweeper
    ) -> None:
        self.changes = changes
        self.counts = counts
        self.crowds = crowds
        self.sweeper = sweeper
        self.prints = Fingerprints(changes, crowds)

    def is_new(self, workspace: Workspace, usage: Usage, offset: int, now_ms: int) -> bool:
        """Whether an event is new; then it is remembered."""
        producer, seq = usage.producer, usage.seq
        if producer and seq >= 0:
            track = workspace.producers.get(producer)
            if track is None:
                track = self._open(workspace, producer, seq)
            if seq == track.next_seq:
                track.next_seq = seq + 1
            elif track.has_seen(seq):
                return False
            else:
                self._see(track, seq)
            if not track.dirty:
                self.changes.touch(track)
            if track.last_ms // HOUR_MS != now_ms // HOUR_MS:
                self.sweeper.keep_producer(track, now_ms)
            track.last_ms = now_ms
        mark = fingerprint(usage.workspace, usage.source, usage.id)
        return self.prints.is_new(mark, now_ms // HOUR_MS, offset)

    def _open(self, workspace: Workspace, producer: str, seq: int) -> Producer:
        track = Producer(workspace.name, producer)
        if self.crowds.is_full(PRODUCERS):
            # It may be one that was let go: what it sent before is not missing.
            track.next_seq = track.floor = seq
        self.crowds.busy = workspace.name
        self.crowds.enter(PRODUCERS)
        self.crowds.busy = ""
        workspace.producers[producer] = track
        return track

    def _see(self, track: Producer, seq: int) -> None:
        before = len(track.first)
        self.counts["missing"] += track.see(seq)
        sizes = self.crowds.sizes
        sizes[GAPS] += len(track.first) - before
        while len(track.first) > before and sizes[GAPS] > LIMITS[GAPS]:
            # Whoever leaves gaps gives its own up, the oldest first.
            track.give_up()
            sizes[GAPS] -= 1
            self.crowds.note(GAPS, 1)

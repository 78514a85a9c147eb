"""One process that `tollway up` keeps alive: when it may start again, and when to give up."""

import http.client
from collections import deque

import msgspec

from tollway.cli.children import Child

__all__ = ["GaveUp", "Member", "Patience"]

MAX_DEATHS = 5
# What sysexits.h calls a configuration error: to start it again would not help.
NEEDS_A_PERSON = 78
DEATHS_WINDOW_S = 60.0
_FIRST_PAUSE_S = 0.2
_LONGEST_PAUSE_S = 5.0
_READY_TIMEOUT_S = 1.0


class GaveUp(RuntimeError):
    """`up` cannot go on; the message says why, for people."""


class _Owned(msgspec.Struct):
    ready: bool = False


class _Page(msgspec.Struct):
    """What a worker's page tells besides that it is ready."""

    partitions: dict[int, _Owned] = {}


_page = msgspec.json.Decoder(_Page, strict=False)


class Patience:
    """How long to wait before the next start, by the deaths of the last minute."""

    def __init__(self) -> None:
        self._deaths: deque[float] = deque(maxlen=MAX_DEATHS)

    def death(self, now: float) -> float | None:
        """Seconds to wait before the next start; None when it died too often."""
        self._deaths.append(now)
        recent = sum(1 for died in self._deaths if now - died < DEATHS_WINDOW_S)
        if recent >= MAX_DEATHS:
            return None
        return float(min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2 ** (recent - 1)))


class Member:
    """A child with an address that answers ``GET /readyz``."""

    def __init__(self, child: Child, port: int) -> None:
        self.child = child
        self._port = port
        self._patience = Patience()
        # When to start it; None while it runs.
        self._start_at: float | None = None

    def start(self) -> None:
        self._start_at = None
        self.child.start()

    def mend(self, now: float) -> str | None:
        """Start it again when its time has come; the line to report if it has just died."""
        if self._start_at is not None:
            if now >= self._start_at:
                self.start()
            return None
        if self.child.running:
            return None
        if self.child.exit_code == NEEDS_A_PERSON:
            raise GaveUp(
                f"{self.child.name} stopped with exit code {NEEDS_A_PERSON} and needs a person; the"
                f" end of {self.child.log}:\n{self.child.tail()}"
            )
        pause_s = self._patience.death(now)
        if pause_s is None:
            raise GaveUp(
                f"{self.child.name} died {MAX_DEATHS} times within {DEATHS_WINDOW_S:g} s, last"
                f" with {how_it_ended(self.child)}; the end of {self.child.log}:\n"
                f"{self.child.tail()}"
            )
        self._start_at = now + pause_s
        return (
            f"{self.child.name} died with {how_it_ended(self.child)} (log: {self.child.log});"
            f" it starts again in {pause_s:g} s"
        )

    def ready(self) -> bool:
        return self._page() is not None

    def partitions(self) -> set[int]:
        """Those that a worker says it owns, and has recovered.

        Before it is given any it is ready as well: there may be more workers than partitions.
        """
        page = self._page()
        try:
            owned = _page.decode(page or b"{}").partitions
        except msgspec.DecodeError:
            return set()
        return {partition for partition, each in owned.items() if each.ready}

    def _page(self) -> bytes | None:
        """None while it is not ready."""
        if not self.child.running:
            return None
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=_READY_TIMEOUT_S)
        try:
            connection.request("GET", "/readyz")
            answer = connection.getresponse()
            page = answer.read()
        except (OSError, http.client.HTTPException):
            return None
        else:
            return page if answer.status == http.HTTPStatus.OK else None
        finally:
            connection.close()


def how_it_ended(child: Child) -> str:
    code = child.exit_code
    if code is not None and code < 0:
        return f"signal {-code}"
    return f"exit code {code}"

"""What runs of each agent usually cost in this process: the detectors' measure of a spike."""

from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from tollway.domain.detectors import Norm

__all__ = ["MAX_NORMS", "Norms", "norms"]

MAX_NORMS: Final = 1_000


class Norms:
    """One for each agent; the longest unused leave. Used under a session's lock."""

    def __init__(self) -> None:
        self._by_agent: OrderedDict[str, Norm] = OrderedDict()

    def of(self, agent: str) -> Norm:
        norm = self._by_agent.get(agent)
        if norm is None:
            norm = self._by_agent[agent] = Norm()
            if len(self._by_agent) > MAX_NORMS:
                self._by_agent.popitem(last=False)
        return norm

    @contextmanager
    def forgotten(self) -> Iterator[None]:
        """Within, nothing is usual yet: one test's runs are no measure for another's."""
        before, self._by_agent = self._by_agent, OrderedDict()
        try:
            yield
        finally:
            self._by_agent = before


norms: Final = Norms()

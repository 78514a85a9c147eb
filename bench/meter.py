"""How fast a process sees events, counted inside it: for the systems that we compare with.

Imports nothing of ours, because it runs in their environments too.
"""

import json
import time

__all__ = ["Meter"]


class Meter:
    """From the first event to the last of `wanted`; what came before the first is not counted."""

    def __init__(self, wanted: int) -> None:
        self._wanted = wanted
        self._seen = 0
        self._began_s = 0.0
        self._began_cpu_s = 0.0

    def count(self) -> bool:
        """One event more; says whether that was the last."""
        if not self._seen:
            self._began_s = time.perf_counter()
            self._began_cpu_s = time.process_time()
        self._seen += 1
        return self._seen == self._wanted

    def line(self) -> str:
        seconds = time.perf_counter() - self._began_s
        cpu_s = time.process_time() - self._began_cpu_s
        return json.dumps({"events": self._seen, "seconds": seconds, "cpu_s": cpu_s})

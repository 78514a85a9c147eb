"""How the process keeps its memory: what is freed is used again, what stays is not looked at again.

Measured with `python -m bench.run --only throughput`: see docs/performance.md.
"""

import ctypes
import gc
import sys
from typing import Final

__all__ = ["keep_freed_memory", "let_go", "settle"]

# Names of mallopt(3), as in malloc.h of glibc.
_M_TRIM_THRESHOLD: Final = -1
_M_TOP_PAD: Final = -2
_M_MMAP_THRESHOLD: Final = -3
_MIB: Final = 1024 * 1024
# The most that glibc takes: half of an arena.
_MAX_MMAP_THRESHOLD: Final = 32 * _MIB
# Memory that may lie unused at the top of the heap.
_KEPT: Final = 512 * _MIB


def keep_freed_memory() -> None:
    """Tells glibc not to give large pieces back to the kernel, which hands them out zeroed again.

    Fetched batches, packs of charges and batches to send are large and live shortly: without this a
    fifth of the worker's CPU time went into clearing pages. Other C libraries are left alone.
    """
    if not sys.platform.startswith("linux"):
        return
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        # Not glibc: no such function, or no such library.
        return
    mallopt(_M_MMAP_THRESHOLD, _MAX_MMAP_THRESHOLD)
    mallopt(_M_TRIM_THRESHOLD, _KEPT)
    mallopt(_M_TOP_PAD, 16 * _MIB)


def settle() -> None:
    """After a closing: the young are collected, and who is left is not looked at any more.

    State is many long-lived objects without cycles among them; the collector would walk through
    all of it again and again.
    """
    gc.collect(1)
    gc.freeze()


def let_go() -> None:
    """Partitions are given back: what they held may have cycles (minutes and their lanes)."""
    gc.unfreeze()

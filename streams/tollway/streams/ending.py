"""How a worker ends by itself: at once, saying why, with a code that says who must act."""

import os
import sys
from typing import NoReturn

__all__ = ["EXIT_CRASHED", "EXIT_STOPPED", "die"]

# What sysexits.h calls an internal software error: the supervisor restarts.
EXIT_CRASHED = 70
# What it calls a configuration error: to restart would not help, a person must act.
EXIT_STOPPED = 78


def die(message: str, code: int = EXIT_CRASHED) -> NoReturn:
    """Ends the process at once. State is in the books; what is not will be read again."""
    sys.stderr.write(f"tollway worker: {message}\n")
    sys.stderr.flush()
    os._exit(code)

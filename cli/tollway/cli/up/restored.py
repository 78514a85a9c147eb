"""What `tollway.cli.up.restore` tells the supervisor."""

import msgspec

__all__ = ["Restored"]


class Restored(msgspec.Struct, frozen=True, kw_only=True):
    # The number of this broker's log among all that the store has known; sinks need it.
    life: int
    records: int

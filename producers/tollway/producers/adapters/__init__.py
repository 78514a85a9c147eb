"""Adapters: `instrument()` attaches metering to the agent frameworks that are installed."""

from tollway.producers.adapters.attaching import Attached, instrument, uninstrument

__all__ = ["Attached", "instrument", "uninstrument"]

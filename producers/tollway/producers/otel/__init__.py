"""OpenTelemetry in and out: spans of inference calls are metered, what was counted is a metric."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tollway.producers.otel.metrics import observe
    from tollway.producers.otel.sampling import SpendSampler
    from tollway.producers.otel.spans import SpanProcessor

__all__ = ["SpanProcessor", "SpendSampler", "observe"]

# Loaded at first use: the tables of names need no OpenTelemetry.
_LATER = {
    "SpanProcessor": "tollway.producers.otel.spans",
    "SpendSampler": "tollway.producers.otel.sampling",
    "observe": "tollway.producers.otel.metrics",
}


def __getattr__(name: str) -> object:
    home = _LATER.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    # An import by name, so that a type checker still sees the names above.
    import importlib

    try:
        found: object = getattr(importlib.import_module(home), name)
    except ModuleNotFoundError as error:
        if error.name is None or not error.name.startswith("opentelemetry"):
            raise
        raise ImportError(
            f"{name} needs opentelemetry-sdk; install it with: pip install 'tollway[otel]'"
        ) from error
    globals()[name] = found
    return found

"""What any provider's response used, in the terms of a usage event."""

from tollway.producers.responses.reading import Reader, usage_of
from tollway.producers.responses.usage import ResponseUsage

__all__ = ["Reader", "ResponseUsage", "usage_of"]

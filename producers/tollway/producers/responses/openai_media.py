"""Images, transcriptions, speech and batches of OpenAI, and what it does not bill."""

from tollway.producers.responses.fields import Fields, fields_of, name, number
from tollway.producers.responses.openai_usage import read_usage
from tollway.producers.responses.seen import Seen

__all__ = ["read_batch", "read_media", "read_unbilled"]


def read_media(body: Fields, seen: Seen) -> None:
    """Images and transcriptions, whole or as events. They have no id, and seldom a model."""
    seen.begun = True
    seen.id = name(body.get("id")) or seen.id
    seen.model = name(body.get("model")) or seen.model
    usage = fields_of(body.get("usage"))
    if usage is not None:
        seen.told = read_usage(usage, seen)
        return
    # Whisper's long answer has no usage, and is billed by the seconds it heard.
    seconds = number(body.get("duration"))
    if seconds:
        seen.seconds = seconds
        seen.told = True


def read_batch(body: Fields, seen: Seen) -> None:
    """A batch, which has the usage of all that it did once it has ended."""
    seen.begun = True
    seen.id = name(body.get("id")) or seen.id
    seen.model = name(body.get("model")) or seen.model
    seen.service_tier = "batch"
    usage = fields_of(body.get("usage"))
    if usage is not None and read_usage(usage, seen):
        seen.told = body.get("status") in ("completed", "expired", "cancelled", "failed")


def read_unbilled(body: Fields, seen: Seen) -> None:
    """Moderations and counts of tokens: free, so that nothing of their usage is missing."""
    seen.begun = seen.told = True
    seen.id = name(body.get("id")) or seen.id
    seen.model = name(body.get("model")) or seen.model

"""The part of a charge that differs from event to event; apart, for mypyc compiles no structs."""

import msgspec

__all__ = ["RareTail", "Tail"]


class Tail(msgspec.Struct, gc=False, omit_defaults=True):
    """Fields of `Charge` by the same names, which most events have."""

    time: str
    id: str
    cost: str
    offset: int
    log_time: str
    session: str = ""
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    step: int | None = None
    duration_ms: int | None = None
    tags: dict[str, str] | None = None
    reasoning_tokens: int = 0


class RareTail(Tail, gc=False, omit_defaults=True):
    """Fields that few events have: looked at one by one, they would cost each event."""

    tool_calls: int = 0
    cache_write_1h_tokens: int = 0
    parent_session: str = ""
    input_audio_tokens: int = 0
    output_audio_tokens: int = 0
    input_image_tokens: int = 0
    output_image_tokens: int = 0
    searches: int = 0
    seconds: float = 0.0
    usage_missing: bool = False
    attempt: int = 0
    requested_model: str = ""
    task: str = ""
    status: str = "ok"
    success: bool | None = None
    clamped: bool = False
    late: bool = False
    skewed: bool = False
    event_time: str = ""

"""One usage event as the rules read it: flat, of native types, with no value absent."""

from typing import Final, cast

from msgspec.structs import astuple

from tollway.contract.usage import UsageEvent

__all__ = ["ABSENT", "Usage"]

# A number that the event does not have.
ABSENT: Final = -1

_NO_MEDIA: Final = (0, 0, 0, 0, 0, 0, 0.0)
_Name = str | None


class Usage:
    """The fields of a `UsageEvent` by the same names; "" and `ABSENT` stand for None.

    The rules read each field many times, and a field of a struct costs more than one of these. One
    instance is filled anew for each event: whoever keeps an event keeps `event`. What few events
    have is in `event` alone: audio, images, searches and seconds, told by `has_media`, and what
    `is_odd` tells of.
    """

    __slots__ = (
        "agent",
        "args_hash",
        "attempt",
        "cache_read_tokens",
        "cache_write_1h_tokens",
        "cache_write_tokens",
        "connection",
        "cost",
        "customer",
        "duration_ms",
        "event",
        "has_media",
        "id",
        "input_tokens",
        "is_odd",
        "kind",
        "model",
        "output_tokens",
        "parent_session",
        "producer",
        "prompt_hash",
        "provider",
        "reasoning_tokens",
        "result_hash",
        "result_tokens",
        "seq",
        "service_tier",
        "session",
        "source",
        "step",
        "tags",
        "time",
        "tool",
        "tool_calls",
        "user",
        "workspace",
    )

    def __init__(self, event: UsageEvent) -> None:
        self.fill(event)

    def fill(self, event: UsageEvent) -> None:
        """Takes the place of what was here with another event."""
        self.event: UsageEvent = event
        # In the order of the struct's fields; one call, where each field would be one.
        fields = cast(tuple[object, ...], astuple(event))
        self.id: str = cast(str, fields[1])
        self.source: str = cast(_Name, fields[2]) or ""
        self.producer: str = cast(_Name, fields[3]) or ""
        self.seq: int = ABSENT if fields[4] is None else cast(int, fields[4])
        self.time: str = cast(str, fields[5])
        self.kind: str = cast(str, fields[6])
        self.workspace: str = cast(str, fields[7])
        self.agent: str = cast(str, fields[8])
        self.session: str = cast(_Name, fields[9]) or ""
        self.parent_session: str = cast(_Name, fields[10]) or ""
        self.step: int = ABSENT if fields[11] is None else cast(int, fields[11])
        self.connection: str = cast(_Name, fields[12]) or ""
        self.user: str = cast(_Name, fields[13]) or ""
        self.customer: str = cast(_Name, fields[14]) or ""
        self.tags: dict[str, str] | None = cast(dict[str, str] | None, fields[16])
        self.provider: str = cast(_Name, fields[17]) or ""
        self.model: str = cast(_Name, fields[18]) or ""
        self.service_tier: str = cast(_Name, fields[20]) or ""
        self.tool: str = cast(_Name, fields[21]) or ""
        self._fill_counts(fields)

    def _fill_counts(self, fields: tuple[object, ...]) -> None:
        self.tool_calls: int = cast(int, fields[22])
        self.input_tokens: int = cast(int, fields[23])
        self.output_tokens: int = cast(int, fields[24])
        self.cache_read_tokens: int = cast(int, fields[25])
        self.cache_write_tokens: int = cast(int, fields[26])
        self.cache_write_1h_tokens: int = cast(int, fields[27])
        self.reasoning_tokens: int = cast(int, fields[28])
        self.has_media: bool = fields[29:36] != _NO_MEDIA
        self.cost: str | None = cast(str | None, fields[36])
        self.prompt_hash: str = cast(_Name, fields[38]) or ""
        self.args_hash: str = cast(_Name, fields[39]) or ""
        self.result_hash: str = cast(_Name, fields[40]) or ""
        self.result_tokens: int = cast(int, fields[41])
        self.attempt: int = cast(int, fields[43])
        self.duration_ms: int = ABSENT if fields[44] is None else cast(int, fields[44])
        # task, requested_model, usage_missing, success, lost; an attempt or a status that is not
        # the first or "ok".
        self.is_odd: bool = (
            fields[37] is True
            or self.attempt != 0
            or fields[15] is not None
            or fields[19] is not None
            or fields[45] is not None
            or fields[46] is not None
            or cast(str, fields[42]) != "ok"
        )

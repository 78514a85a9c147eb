"""What one model costs: integer rates, and the cost of an event by them. On the hot path."""

from typing import Final

from tollway.contract.usage import UsageEvent
from tollway.domain.usage import Usage

__all__ = ["BEGINNING_MS", "END_MS", "RateTable", "Rates", "divide_half_even"]

BEGINNING_MS: Final = -(2**62)
# Not 2**62: the compiled rules hold whole numbers up to 2**62 - 1 without an object.
END_MS: Final = 2**61

_MICROS_PER_HOUR: Final = 3_600_000_000


class RateTable:
    """Rates of a token of each kind inside one step of context size, in units of `Rates.scale`.

    Every kind has a rate: where the list has none of its own, its parent's.
    """

    __slots__ = (
        "cache_read",
        "cache_read_audio",
        "cache_write",
        "cache_write_1h",
        "input",
        "input_audio",
        "input_image",
        "output",
        "output_audio",
        "output_image",
        "reasoning",
    )

    def __init__(self) -> None:
        self.input: int = 0
        self.output: int = 0
        self.cache_read: int = 0
        self.cache_write: int = 0
        self.cache_write_1h: int = 0
        self.reasoning: int = 0
        self.input_audio: int = 0
        self.cache_read_audio: int = 0
        self.output_audio: int = 0
        self.input_image: int = 0
        self.output_image: int = 0


class Rates:
    """What one (provider, model, tier) costs in [valid_from_ms, valid_to_ms); never changed.

    A rate is an integer: pico-dollars times `scale`, which is 1 unless the list has a rate finer
    than a pico-dollar; only then is a cost rounded, half to even, once for an event.
    """

    __slots__ = (
        "base",
        "base_up_to",
        "is_exact",
        "lists_input",
        "lists_input_audio",
        "lists_output",
        "lists_output_audio",
        "lists_searches",
        "min_micros",
        "per_hour",
        "per_request",
        "per_search",
        "reasoning_apart",
        "scale",
        "source",
        "step_starts",
        "step_tables",
        "valid_from_ms",
        "valid_to_ms",
        "version",
    )

    def __init__(
        self,
        valid_from_ms: int,
        valid_to_ms: int,
        source: str,
        version: str,
        scale: int,
        base: RateTable,
    ) -> None:
        self.valid_from_ms: int = valid_from_ms
        self.valid_to_ms: int = valid_to_ms
        self.source: str = source
        self.version: str = version
        self.scale: int = scale
        self.is_exact: bool = scale == 1
        self.base: RateTable = base
        # Steps of context size: above step_starts[i] input tokens, step_tables[i] prices them all.
        self.base_up_to: int = END_MS
        self.step_starts: list[int] = []
        self.step_tables: list[RateTable] = []
        self.per_request: int = 0
        self.per_search: int = 0
        self.per_hour: int = 0
        # Providers that bill a shorter recording as if it had this length.
        self.min_micros: int = 0
        self.lists_input: bool = True
        self.lists_output: bool = True
        # Of audio by the token: it costs up to 57 times what text does.
        self.lists_input_audio: bool = False
        self.lists_output_audio: bool = False
        self.lists_searches: bool = False
        self.reasoning_apart: bool = base.reasoning != base.output

    def add_step(self, start: int, table: RateTable) -> None:
        """Price events of more than `start` input tokens by `table`; call in rising order."""
        self.step_starts.append(start)
        self.step_tables.append(table)
        self.base_up_to = self.step_starts[0]

    def cost_pico(self, usage: Usage) -> int:
        """What an event costs in pico-dollars; each token is billed once, at its own kind's rate.

        Safe on inconsistent counts: a part larger than its whole is cut down to it.
        """
        tokens = usage.input_tokens
        read = usage.cache_read_tokens
        write = usage.cache_write_tokens
        write_1h = usage.cache_write_1h_tokens
        # Most events have only text in one step of context size.
        if (
            tokens > self.base_up_to
            or not self.is_exact
            or read + write > tokens
            or write_1h > write
            or usage.has_media
            or (self.reasoning_apart and usage.reasoning_tokens)
        ):
            return self._cost_by_kind(usage.event)
        base = self.base
        pico = (tokens - read - write) * base.input + usage.output_tokens * base.output
        if read:
            pico += read * base.cache_read
        if write:
            pico += (write - write_1h) * base.cache_write + write_1h * base.cache_write_1h
        return pico + self.per_request

    def covers(self, usage: Usage) -> bool:
        """Whether each unit that an event used has a rate; False: its cost is a lower bound.

        Seconds beside tokens need no rate of their own: the tokens are what was billed.
        """
        if usage.input_tokens and not self.lists_input:
            return False
        if usage.output_tokens and not self.lists_output:
            return False
        return not usage.has_media or self._covers_media(usage.event)

    def _covers_media(self, event: UsageEvent) -> bool:
        if event.searches and not self.lists_searches:
            return False
        tokens = event.input_tokens + event.output_tokens
        if event.seconds and not self.per_hour and not tokens:
            return False
        # By the hour it is billed for its length.
        if self.per_hour and event.seconds:
            return True
        if event.input_audio_tokens and not self.lists_input_audio:
            return False
        return not event.output_audio_tokens or self.lists_output_audio

    def within(self, from_ms: int, to_ms: int) -> "Rates":
        """The same rates, valid only where [from_ms, to_ms) and their own range overlap."""
        if from_ms <= self.valid_from_ms and to_ms >= self.valid_to_ms:
            return self
        narrowed = Rates(
            max(from_ms, self.valid_from_ms),
            min(to_ms, self.valid_to_ms),
            self.source,
            self.version,
            self.scale,
            self.base,
        )
        for start, table in zip(self.step_starts, self.step_tables, strict=True):
            narrowed.add_step(start, table)
        narrowed.reasoning_apart = self.reasoning_apart
        narrowed.per_request = self.per_request
        narrowed.per_search = self.per_search
        narrowed.per_hour = self.per_hour
        narrowed.min_micros = self.min_micros
        narrowed.lists_input = self.lists_input
        narrowed.lists_output = self.lists_output
        narrowed.lists_input_audio = self.lists_input_audio
        narrowed.lists_output_audio = self.lists_output_audio
        narrowed.lists_searches = self.lists_searches
        return narrowed

    def _cost_by_kind(self, event: UsageEvent) -> int:
        table = self._table_for(event.input_tokens)
        units = _input_units(event, table) + _output_units(event, table)
        units += self.per_request + event.searches * self.per_search
        micros = 0
        if self.per_hour and event.seconds > 0:
            micros = max(int(event.seconds * 1_000_000 + 0.5), self.min_micros)
        if micros == 0:
            return units if self.is_exact else divide_half_even(units, self.scale)
        units = units * _MICROS_PER_HOUR + micros * self.per_hour
        return divide_half_even(units, self.scale * _MICROS_PER_HOUR)

    def _table_for(self, input_tokens: int) -> RateTable:
        table = self.base
        for at in range(len(self.step_starts)):
            if input_tokens <= self.step_starts[at]:
                break
            table = self.step_tables[at]
        return table


def divide_half_even(number: int, divisor: int) -> int:
    """`number` over `divisor`, both not negative, rounded half to even."""
    quotient, rest = divmod(number, divisor)
    if 2 * rest > divisor or (2 * rest == divisor and quotient % 2 == 1):
        return quotient + 1
    return quotient


def _input_units(event: UsageEvent, table: RateTable) -> int:
    # Each kind takes what the kinds before it left, so no token is billed twice.
    rest = event.input_tokens
    read = min(event.cache_read_tokens, rest)
    rest -= read
    write = min(event.cache_write_tokens, rest)
    rest -= write
    write_1h = min(event.cache_write_1h_tokens, write)
    audio = event.input_audio_tokens
    read_audio = min(event.cache_read_audio_tokens, read, audio)
    audio = min(audio - read_audio, rest)
    rest -= audio
    image = min(event.input_image_tokens, rest)
    rest -= image
    return (
        rest * table.input
        + (read - read_audio) * table.cache_read
        + read_audio * table.cache_read_audio
        + (write - write_1h) * table.cache_write
        + write_1h * table.cache_write_1h
        + audio * table.input_audio
        + image * table.input_image
    )


def _output_units(event: UsageEvent, table: RateTable) -> int:
    rest = event.output_tokens
    audio = min(event.output_audio_tokens, rest)
    rest -= audio
    image = min(event.output_image_tokens, rest)
    rest -= image
    reasoning = min(event.reasoning_tokens, rest)
    rest -= reasoning
    return (
        rest * table.output
        + reasoning * table.reasoning
        + audio * table.output_audio
        + image * table.output_image
    )

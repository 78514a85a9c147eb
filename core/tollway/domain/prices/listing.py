"""A price list as data: models, their dated and conditional prices, and the names they go by."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from decimal import Decimal

from tollway.domain.prices.names import name_forms, strip_qualifier
from tollway.domain.prices.rates import BEGINNING_MS, END_MS

__all__ = ["Condition", "InForce", "ListedModel", "Listing", "PriceSet", "Steps", "Units"]

DAY_MS = 24 * 60 * 60 * 1000

# Dollars for a unit: [(above how many input tokens, price)], rising, the first above -1.
Steps = list[tuple[int, Decimal]]
# By the list's name of the unit, such as input_mtok (a million tokens of input).
Units = Mapping[str, Steps]


class Condition:
    """From `start_ms` on, and where `day_to_ms` is above 0 only in that part of each UTC day."""

    __slots__ = ("day_from_ms", "day_to_ms", "start_ms")

    def __init__(
        self, start_ms: int = BEGINNING_MS, day_from_ms: int = 0, day_to_ms: int = 0
    ) -> None:
        self.start_ms = start_ms
        self.day_from_ms = day_from_ms
        self.day_to_ms = day_to_ms

    def holds(self, at_ms: int) -> bool:
        """Whether it is met at that moment; the part of the day may cross midnight."""
        if at_ms < self.start_ms:
            return False
        if self.day_from_ms == self.day_to_ms:
            return True
        in_day = at_ms % DAY_MS
        if self.day_to_ms < self.day_from_ms:
            return in_day >= self.day_from_ms or in_day < self.day_to_ms
        return self.day_from_ms <= in_day < self.day_to_ms

    def edges(self, at_ms: int) -> Iterator[int]:
        """The moments around `at_ms` at which it may begin or cease to hold."""
        if self.start_ms != BEGINNING_MS:
            yield self.start_ms
        if self.day_from_ms != self.day_to_ms:
            midnight = at_ms - at_ms % DAY_MS
            for day in (midnight - DAY_MS, midnight, midnight + DAY_MS):
                yield day + self.day_from_ms
                yield day + self.day_to_ms


class PriceSet:
    """Prices under a condition; `when` also names the request's context (a service tier)."""

    __slots__ = ("condition", "units", "when")

    def __init__(
        self, condition: Condition, units: Units, when: Mapping[str, str] | None = None
    ) -> None:
        self.condition = condition
        self.units = units
        self.when: Mapping[str, str] = when or {}


class InForce:
    """The prices that apply in [from_ms, to_ms); `has_context` tells if the context has its own."""

    __slots__ = ("from_ms", "has_context", "to_ms", "units")

    def __init__(self, units: Units, from_ms: int, to_ms: int, has_context: bool) -> None:
        self.units = units
        self.from_ms = from_ms
        self.to_ms = to_ms
        self.has_context = has_context


class ListedModel:
    """One model of a provider's list. Of `prices` the last that holds applies, else the first."""

    __slots__ = (
        "bills_audio_as_input",
        "bills_audio_as_output",
        "context_window",
        "is_free",
        "model_id",
        "prices",
        "provider",
        "variants",
    )

    def __init__(
        self,
        provider: str,
        model_id: str,
        prices: list[PriceSet],
        variants: list[PriceSet],
        *,
        context_window: int = 0,
        is_free: bool = False,
        bills_audio_as_input: bool = False,
        bills_audio_as_output: bool = False,
    ) -> None:
        self.provider = provider
        self.model_id = model_id
        self.prices = prices
        self.variants = variants
        self.context_window = context_window
        # The provider gives it away: the only way to a price of 0.
        self.is_free = is_free
        # Its price of input, or output, is that of audio too, where audio has none apart.
        self.bills_audio_as_input = bills_audio_as_input
        self.bills_audio_as_output = bills_audio_as_output

    def in_force(self, at_ms: int, context: Mapping[str, str]) -> InForce:
        """What applies at `at_ms` to a request with that context, and in which range."""
        standard = self.prices[0].units
        for dated in reversed(self.prices):
            if dated.condition.holds(at_ms):
                standard = dated.units
                break
        units = dict(standard)
        seen: set[str] = set()
        has_context = False
        for variant in self._variants_for(context):
            if variant.condition.holds(at_ms):
                has_context = True
                for unit, steps in variant.units.items():
                    if unit not in seen:
                        seen.add(unit)
                        units[unit] = steps
        from_ms, to_ms = BEGINNING_MS, END_MS
        for price_set in (*self.prices, *self._variants_for(context)):
            for edge in price_set.condition.edges(at_ms):
                if edge <= at_ms:
                    from_ms = max(from_ms, edge)
                else:
                    to_ms = min(to_ms, edge)
        return InForce(units, from_ms, to_ms, has_context)

    def _variants_for(self, context: Mapping[str, str]) -> Iterator[PriceSet]:
        for variant in self.variants:
            if all(context.get(key) == value for key, value in variant.when.items()):
                yield variant


class Listing:
    """One provider's models by name. `fallbacks` are providers whose models it sells too."""

    __slots__ = ("_exact", "_open", "_patterns", "_tuned", "fallbacks", "makes", "models", "name")

    def __init__(
        self,
        name: str,
        fallbacks: Iterable[str] = (),
        makes: Callable[[str], bool] | None = None,
    ) -> None:
        self.name = name
        self.fallbacks = tuple(fallbacks)
        # Whether a model's name alone says that this provider makes it; None where it never does.
        self.makes = makes
        self.models: list[ListedModel] = []
        self._exact: dict[str, ListedModel] = {}
        self._open: dict[str, ListedModel] = {}
        self._patterns: list[tuple[re.Pattern[str], ListedModel]] = []
        self._tuned: list[tuple[str, ListedModel]] = []

    def add(
        self,
        model: ListedModel,
        exact: Iterable[str],
        open_names: Iterable[str] = (),
        patterns: Iterable[str] = (),
    ) -> None:
        """List `model` under its exact names, and those that the list gives as beginnings.

        The first model of a name keeps it. `patterns` are anchored regular expressions.
        """
        self.models.append(model)
        for name in exact:
            self._exact.setdefault(name.lower(), model)
        for beginning in open_names:
            name = beginning.lower()
            if name.startswith("ft:") or name.endswith(".ft-"):
                self._tuned.append((name, model))
            self._open.setdefault(name.rstrip("-@"), model)
        self._patterns.extend((re.compile(pattern), model) for pattern in patterns)

    def find(self, model: str, heads: frozenset[str]) -> ListedModel | None:
        """The model that this name stands for; a longer name is never a shorter one's model."""
        if model.lower().startswith("ft:") or ".ft-" in model.lower():
            return self._find_tuned(model.lower())
        for form in name_forms(model, self.name, heads):
            listed = self._exact.get(form) or self._open.get(form)
            if listed is not None:
                return listed
            shorter = strip_qualifier(form)
            if shorter is not None and shorter in self._open:
                return self._open[shorter]
            for pattern, matched in self._patterns:
                if pattern.search(form):
                    return matched
        return None

    def _find_tuned(self, model: str) -> ListedModel | None:
        # OpenAI: ft:<base model>:<organisation>:<name>:<id>. Azure: <base model>.ft-<id>.
        base = ":".join(model.split(":")[:2])
        for beginning, listed in self._tuned:
            rest = base[len(beginning) :]
            if base.startswith(beginning) and (
                beginning.endswith(".ft-") or re.fullmatch(r"[\d-]*", rest)
            ):
                return listed
        return self._exact.get(base)

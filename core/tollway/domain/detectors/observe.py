"""One event seen by all detectors: the only function on the ledger's hot path."""

from tollway.domain.detectors.budget_exceeded import crossed, outspent
from tollway.domain.detectors.context_bloat import fills, grows
from tollway.domain.detectors.norm import Norm
from tollway.domain.detectors.profile import Profile
from tollway.domain.detectors.retry_loop import answered, asked_again, called_again
from tollway.domain.detectors.sighting import Sighting
from tollway.domain.detectors.spend_spike import spikes
from tollway.domain.detectors.token_acceleration import burns, doubles
from tollway.domain.detectors.tool_amplification import (
    multiplied,
    read,
    returned,
    used,
)
from tollway.domain.detectors.watch import RunWatch
from tollway.domain.usage import Usage

__all__ = ["observe"]


def observe(
    watch: RunWatch,
    profile: Profile,
    norm: Norm,
    usage: Usage,
    time_ms: int,
    cost_pico: int,
    context_window: int,
) -> list[Sighting] | None:
    """Moves `watch` and `norm` on by one event; what was seen, at most once a detector.

    None when nothing, so that the hot path allocates nothing. `context_window` is the model's in
    tokens, 0 where it is not known. An outcome ends a run: the caller then calls `finish`.
    """
    kind = usage.kind
    if kind == "loss":
        return None
    gap_ms = time_ms - watch.last_ms
    if gap_ms > 0:
        watch.last_ms = time_ms
        if gap_ms > profile.retry_gap_ms:
            watch.prompts.forget()
            watch.calls.forget()
    watch.events += 1
    watch.spent_pico += cost_pico
    if not profile.production:
        return _plainly(watch, profile, usage, time_ms)
    seen = _money(watch, profile, norm, time_ms, cost_pico)
    if kind == "llm":
        return _model_call(watch, profile, usage, context_window, seen)
    return _tool_call(watch, profile, usage, seen) if kind == "tool" else seen


def _and(seen: list[Sighting] | None, sighting: Sighting) -> list[Sighting]:
    if seen is None:
        return [sighting]
    seen.append(sighting)
    return seen


def _money(
    watch: RunWatch, profile: Profile, norm: Norm, time_ms: int, cost_pico: int
) -> list[Sighting] | None:
    seen: list[Sighting] | None = None
    spent = watch.spent_pico
    if spent >= profile.budget_warn_pico or (
        len(norm.runs) >= profile.median_min_runs
        and spent * 100 >= norm.median_run_pico * profile.median_warn_percent
    ):
        sighting = outspent(watch.said, profile, norm, spent)
        if sighting is not None:
            seen = [sighting]
    if cost_pico <= 0:
        return seen
    if profile.acceleration:
        sighting = burns(watch.pace, profile, cost_pico, time_ms)
        if sighting is not None:
            seen = _and(seen, sighting)
    if profile.spike:
        if cost_pico >= profile.spike_floor_pico:
            sighting = spikes(profile, norm, cost_pico, watch.spike_pico)
            if sighting is not None:
                watch.spike_pico = cost_pico
                seen = _and(seen, sighting)
        norm.spent(cost_pico)
    return seen


def _model_call(
    watch: RunWatch,
    profile: Profile,
    usage: Usage,
    context_window: int,
    seen: list[Sighting] | None,
) -> list[Sighting] | None:
    if profile.retry:
        sighting = asked_again(watch.prompts, profile, usage)
        if sighting is not None:
            seen = _and(seen, sighting)
    if profile.context:
        sighting = fills(watch.context, profile, usage.model, usage.input_tokens, context_window)
        if sighting is not None:
            seen = _and(seen, sighting)
    if profile.amplification:
        results = watch.results
        results.call_tokens = usage.output_tokens
        if results.largest_tokens and usage.input_tokens:
            sighting = read(results, profile, usage.input_tokens)
            if sighting is not None:
                seen = _and(seen, sighting)
    return seen


def _tool_call(
    watch: RunWatch, profile: Profile, usage: Usage, seen: list[Sighting] | None
) -> list[Sighting] | None:
    if profile.retry:
        answered(watch.prompts, usage)
        sighting = called_again(watch.calls, profile, usage)
        if sighting is not None:
            seen = _and(seen, sighting)
    if profile.amplification:
        results = watch.results
        results.count += 1
        if usage.result_tokens >= profile.amplification_result_tokens:
            returned(results, profile, usage)
    return seen


def _plainly(
    watch: RunWatch, profile: Profile, usage: Usage, time_ms: int
) -> list[Sighting] | None:
    """The profile `compat`: the published definitions and nothing else."""
    sightings: list[Sighting | None] = []
    if profile.budget:
        sightings.append(crossed(watch.said, profile, watch.spent_pico))
    if usage.kind == "tool":
        answered(watch.prompts, usage)
        used(watch.results, usage)
    elif usage.kind == "llm":
        tokens = usage.input_tokens
        if profile.retry:
            sightings.append(asked_again(watch.prompts, profile, usage))
        if profile.context:
            sightings.append(grows(watch.context, profile, tokens))
        if profile.acceleration:
            sightings.append(doubles(watch.pace, profile, tokens + usage.output_tokens, time_ms))
        if profile.amplification:
            sightings.append(multiplied(watch.results, profile, usage))
    return [sighting for sighting in sightings if sighting is not None] or None

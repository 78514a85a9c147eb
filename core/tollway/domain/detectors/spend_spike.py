"""`spend_spike`: one event that costs a multiple of what the agent's events usually cost."""

from typing import Final

from tollway.contract.money import format_usd
from tollway.domain.detectors.norm import Norm
from tollway.domain.detectors.profile import Profile
from tollway.domain.detectors.sighting import Sighting, dollars

__all__ = ["spikes"]

_NAME: Final = "spend_spike"


def spikes(profile: Profile, norm: Norm, cost_pico: int, spike_pico: int) -> Sighting | None:
    """Production: against the median of the agent's recent events.

    `spike_pico` is the run's last spike: again only for one twice as dear, so that an agent that
    has changed for good is said a few times and not on each event.
    """
    if norm.events_known < profile.spike_min_events or cost_pico < 2 * spike_pico:
        return None
    median = norm.median_event_pico
    if cost_pico * 100 < median * profile.spike_percent or median == 0:
        return None
    message = (
        f"one event cost {dollars(cost_pico)}, {cost_pico // median} times the median"
        f" {dollars(median)} of the agent's last {norm.events_known} events"
    )
    evidence = {"cost": format_usd(cost_pico), "median_event": format_usd(median)}
    return Sighting(_NAME, "warn", message, evidence)

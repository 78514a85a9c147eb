"""The five detectors and `spend_spike`: what each event means for one run of one agent."""

from tollway.domain.detectors.norm import MAX_NORM_EVENTS, MAX_NORM_RUNS, Norm
from tollway.domain.detectors.observe import observe
from tollway.domain.detectors.parameters import DETECTORS, PARAMETERS, Parameter, parameters_of
from tollway.domain.detectors.profile import Profile, profile_of
from tollway.domain.detectors.sighting import Sighting
from tollway.domain.detectors.watch import RUN_IDLE_MS, RunWatch, finish

__all__ = [
    "DETECTORS",
    "MAX_NORM_EVENTS",
    "MAX_NORM_RUNS",
    "PARAMETERS",
    "RUN_IDLE_MS",
    "Norm",
    "Parameter",
    "Profile",
    "RunWatch",
    "Sighting",
    "finish",
    "observe",
    "parameters_of",
    "profile_of",
]

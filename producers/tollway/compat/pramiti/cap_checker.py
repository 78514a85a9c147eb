"""`CapChecker`: asks a backend what an agent spent today, and blocks or warns at its cap."""

import logging
import warnings
from collections.abc import Mapping

from tollway.compat.amounts import NotDollars, as_float, exact_pico
from tollway.compat.pramiti.backends import ICostBackend
from tollway.compat.pramiti.exceptions import CapExceededError, CapWarning

__all__ = ["CapChecker"]

_log = logging.getLogger("tollway")


class CapChecker:
    """Compares what is recorded with the cap, before a call: at the cap is over it.

    Nothing is reserved: calls that are checked at one moment can all pass. `meter.session` counts
    while it happens.
    """

    def __init__(self, backend: ICostBackend) -> None:
        self._backend = backend

    def check(self, workspace_id: str, agent_id: str) -> None:
        """Raises `CapExceededError` or warns `CapWarning`; without a cap does nothing."""
        cap = self._backend.get_cap(workspace_id, agent_id)
        if cap is None:
            return
        limit = exact_pico(_named(cap, "max_usd_per_day", "max_usd"))
        spent = exact_pico(self._today(workspace_id, agent_id))
        if spent < limit:
            return
        error = CapExceededError(agent_id, as_float(spent), as_float(limit))
        # Only what says that it warns may let the call go on.
        if _named(cap, "action_on_breach", "action") != "warn":
            raise error
        told = (
            f"Agent {agent_id!r} daily cap warning: ${error.today_cost:.4f} >= ${error.max_usd:.4f}"
        )
        _log.warning("%s limit", told)
        warnings.warn(CapWarning(f"{told} limit"), stacklevel=2)

    def get_today_cost(self, workspace_id: str, agent_id: str) -> float:
        return as_float(exact_pico(self._today(workspace_id, agent_id)))

    def _today(self, workspace_id: str, agent_id: str) -> object:
        backend = self._backend
        for name in ICostBackend.READERS:
            read = getattr(backend, name, None)
            if read is not None:
                return read(workspace_id, agent_id)
        raise TypeError(
            f"{type(backend).__name__} has neither {' nor '.join(ICostBackend.READERS)}"
        )


def _named(cap: Mapping[str, object], *names: str) -> object:
    for name in names:
        if name in cap:
            return cap[name]
    if "action" in names:
        return "block"
    raise NotDollars(f"a cap without {' or '.join(names)}")

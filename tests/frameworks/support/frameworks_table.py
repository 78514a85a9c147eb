"""What the tests showed of each framework, as the table in docs/frameworks.md."""

from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

from tollway.producers.adapters.attaching import ADAPTERS

__all__ = ["CAPABILITIES", "PAGE", "Shown", "page_with", "unexplained"]

PAGE: Final = Path(__file__).resolve().parents[3] / "docs" / "frameworks.md"
# The columns. `meter`: one event with the recorded usage and its price. `block`: `CallBlocked`, and
# the provider's server saw nothing. `agent name`: the framework's agent is the event's.
CAPABILITIES: Final = (
    "meter",
    "block",
    "stream",
    "abort",
    "async",
    "tool",
    "agent name",
    "retry",
    "error",
    "concurrent",
)
_BEGIN: Final = "<!-- table: begin -->"
_END: Final = "<!-- table: end -->"


class Shown:
    """Capabilities that tests showed, and reasons why others are not there."""

    def __init__(self) -> None:
        self._shown: dict[str, set[str]] = {}
        self._lacks: dict[str, dict[str, str]] = {}

    def show(self, framework: str, capabilities: tuple[str, ...]) -> None:
        self._shown.setdefault(framework, set()).update(capabilities)

    def lack(self, framework: str, reasons: dict[str, str]) -> None:
        self._lacks.setdefault(framework, {}).update(reasons)

    def frameworks(self) -> list[str]:
        return [name for name in ADAPTERS if name in self._shown or name in self._lacks]

    def cell(self, framework: str, capability: str) -> str:
        """`yes`, the number of a note, or "" where there is neither test nor reason."""
        if capability in self._shown.get(framework, ()):
            return "yes"
        reason = self._lacks.get(framework, {}).get(capability)
        return "" if reason is None else f"no [{self.reasons().index(reason) + 1}]"

    def reasons(self) -> list[str]:
        """Each once, in the table's order."""
        ordered = [
            reasons[capability]
            for framework in self.frameworks()
            for reasons in [self._lacks.get(framework, {})]
            for capability in CAPABILITIES
            if capability in reasons and capability not in self._shown.get(framework, ())
        ]
        return list(dict.fromkeys(ordered))


def unexplained(shown: Shown) -> list[str]:
    """Capabilities that no test showed and that nobody gave a reason for."""
    return [
        f"{framework}: {capability}"
        for framework in shown.frameworks()
        for capability in CAPABILITIES
        if not shown.cell(framework, capability)
    ]


def page_with(shown: Shown, page: str) -> str:
    """The page with this table in the place of the one it has."""
    before, _, rest = page.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    return f"{before}{_BEGIN}\n{_table(shown)}{_END}{after}"


def _table(shown: Shown) -> str:
    heads = ("framework", "run with", *CAPABILITIES)
    rows = [heads, ("---",) * len(heads)]
    rows += [
        (
            f"`{framework}`",
            _version(framework),
            *(shown.cell(framework, capability) for capability in CAPABILITIES),
        )
        for framework in shown.frameworks()
    ]
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    notes = [f"{number}. {reason}" for number, reason in enumerate(shown.reasons(), 1)]
    return "\n".join([*lines, "", *notes]).rstrip() + "\n"


def _version(framework: str) -> str:
    distribution = ADAPTERS[framework].distribution
    try:
        return f"{distribution} {version(distribution)}" if distribution else "Python"
    except PackageNotFoundError:
        return f"{distribution} (not installed)"

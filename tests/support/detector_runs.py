"""One run of one agent, written as calls: what the detectors say of each."""

from tollway.contract.command import DetectorParameters, Policy
from tollway.contract.money import parse_usd
from tollway.contract.usage import UsageEvent
from tollway.domain.detectors import Norm, RunWatch, Sighting, observe, profile_of
from tollway.domain.usage import Usage

__all__ = ["START_MS", "AgentRun", "compat", "production"]

START_MS = 1_767_225_600_000  # 2026-01-01, a whole hour


def compat(budget: str | None = None, **numbers: int) -> Policy:
    return Policy(
        profile="compat", run_budget_usd=budget, detectors=DetectorParameters(numbers=numbers)
    )


def production(budget: str | None = None, **numbers: int) -> Policy:
    return Policy(run_budget_usd=budget, detectors=DetectorParameters(numbers=numbers))


class AgentRun:
    """Each call moves the clock by `step_ms`; `at_ms` is what the next event's time will be."""

    def __init__(self, policy: Policy, norm: Norm | None = None, step_ms: int = 1000) -> None:
        self.profile = profile_of(policy)
        self.norm = Norm() if norm is None else norm
        self.watch = RunWatch()
        self.at_ms = START_MS
        self.step_ms = step_ms
        self.window = 0
        self.heard: list[Sighting] = []

    def obey(self, policy: Policy) -> None:
        self.profile = profile_of(policy)

    def llm(
        self,
        tokens: int = 0,
        *,
        output: int = 0,
        usd: str = "0",
        prompt: str | None = None,
        model: str = "gpt-4o",
        tool_calls: int = 0,
        attempt: int = 0,
    ) -> list[Sighting]:
        event = UsageEvent(
            id="call",
            time="2026-01-01T00:00:00.000Z",
            workspace="acme",
            agent="bot",
            model=model,
            input_tokens=tokens,
            output_tokens=output,
            prompt_hash=prompt,
            tool_calls=tool_calls,
            attempt=attempt,
        )
        return self.see(event, usd)

    def tool(
        self,
        name: str | None = "read_file",
        arguments: str | None = None,
        result: str | None = None,
        *,
        tokens: int = 0,
        call_tokens: int = 0,
    ) -> list[Sighting]:
        event = UsageEvent(
            id="call",
            time="2026-01-01T00:00:00.000Z",
            workspace="acme",
            agent="bot",
            kind="tool",
            tool=name,
            args_hash=arguments,
            result_hash=result,
            result_tokens=tokens,
            input_tokens=call_tokens,
        )
        return self.see(event)

    def see(self, event: UsageEvent, usd: str = "0") -> list[Sighting]:
        seen = observe(
            self.watch,
            self.profile,
            self.norm,
            Usage(event),
            self.at_ms,
            parse_usd(usd),
            self.window,
        )
        self.at_ms += self.step_ms
        self.heard += seen or []
        return seen or []

    def said(self) -> list[tuple[str, str]]:
        """Detector and level of everything heard so far, in order."""
        return [(sighting.detector, sighting.level) for sighting in self.heard]

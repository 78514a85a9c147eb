"""What the detectors saw, as findings and decisions."""

from typing import Final

from tollway.contract.control import Decision, Finding
from tollway.contract.moments import format_ms
from tollway.contract.subjects import Subject
from tollway.domain.detectors import Sighting
from tollway.domain.leaving import SESSION_IDLE_MS
from tollway.domain.usage import Usage
from tollway.domain.verdicts import Moment, Verdicts, identity

__all__ = ["DETECTOR_BLOCK_MS", "report"]

# How long a detector's block stands unless it is lifted.
DETECTOR_BLOCK_MS: Final = 3_600_000


def report(
    verdicts: Verdicts, moment: Moment, usage: Usage, sighting: Sighting, booked_ms: int
) -> None:
    """Makes a finding of a sighting, and the decision that it asks for."""
    if not usage.session and sighting.detector == "budget_exceeded":
        # Events without a session are no run, so they have no run's budget.
        return
    version = moment.version()
    verdicts.made.append(
        Finding(
            id=identity(usage.workspace, sighting.detector, sighting.level, usage.id, *version),
            detector=sighting.detector,
            level=sighting.level,
            workspace=usage.workspace,
            agent=usage.agent,
            session=usage.event.session,
            step=usage.event.step,
            event_id=usage.id,
            message=sighting.message,
            evidence=sighting.evidence,
            # As it is booked, in UTC: the event's own may be in any zone, or of a wrong clock.
            time=format_ms(booked_ms),
            cause=moment.cause(),
            version=version,
        )
    )
    _decide(verdicts, moment, usage, sighting)


def _decide(verdicts: Verdicts, moment: Moment, usage: Usage, sighting: Sighting) -> None:
    subject: Subject = {"agent": usage.agent}
    if usage.session:
        subject["session"] = usage.session
    version = moment.version()
    # A run that is over its budget stays so; other patterns may pass.
    over = sighting.detector == "budget_exceeded"
    expires_ms = moment.time_ms + (SESSION_IDLE_MS if over else DETECTOR_BLOCK_MS)
    rule = f"detector:{sighting.detector}"
    verdicts.decide(
        Decision(
            id=identity(usage.workspace, rule, sighting.level, usage.id, *version),
            workspace=usage.workspace,
            subject=subject,
            rule=rule,
            action=sighting.level,
            reason=sighting.detector,
            message=sighting.message,
            expires_at=format_ms(expires_ms),
            cause=moment.cause(),
            version=version,
            issued_at=format_ms(moment.time_ms),
        ),
        expires_ms,
        moment.time_ms,
    )

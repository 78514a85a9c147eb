"""An agent of the OpenAI Agents SDK with a budget of five cents, metered by one line.

    pip install tollway openai-agents
    OPENAI_API_KEY=... python openai_agents_agent.py "Do I need an umbrella in Paris?"

OPENAI_BASE_URL names another server to ask, one on this machine for example. With TOLLWAY_BROKERS
set the same script is a metered part of a fleet.
"""

import sys

from agents import Agent, Runner, function_tool

from tollway import meter


@function_tool
def get_weather(location: str) -> str:
    """The weather of a place."""
    return f"rain in {location}"


researcher = Agent(
    name="researcher",
    instructions="Answer in one sentence.",
    model="gpt-4.1-nano",
    tools=[get_weather],
)


def main(question: str) -> None:
    meter.instrument()
    with meter.session(budget="0.05", agent=researcher.name) as session:
        try:
            print(Runner.run_sync(researcher, question).final_output)
        except meter.CallBlocked as blocked:
            print(f"stopped: {blocked}")
            session.outcome(success=False)
    show(session.report())


def show(report: meter.Report) -> None:
    print(f"\n{report['agent']} spent ${report['total_spent']:f} of ${report['budget']:f}")
    for event in report["events"]:
        if event["kind"] != "outcome":
            cost = "no price" if event["cost"] is None else f"${event['cost']:f}"
            print(f"  {event['kind']:5} {event['model'] or event['tool']:24} {cost}")


if __name__ == "__main__":
    main(" ".join(sys.argv[1:]) or "Do I need an umbrella in Paris?")

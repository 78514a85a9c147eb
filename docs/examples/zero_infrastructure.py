"""An agent with a budget of five cents, on nothing but this process: no broker, no server.

    pip install tollway openai
    OPENAI_API_KEY=... python zero_infrastructure.py "What does a Kafka broker do?"

With TOLLWAY_BROKERS set the same script is a metered part of a fleet; nothing in it changes.
"""

import json
import sys

from openai import OpenAI

from tollway import meter

MODEL, CHEAPER = "gpt-4o", "gpt-4o-mini"
LOOKUP = {
    "type": "function",
    "function": {
        "name": "look_up",
        "description": "Looks a word up in the glossary.",
        "parameters": {
            "type": "object",
            "properties": {"word": {"type": "string"}},
            "required": ["word"],
        },
    },
}


@meter.track_tool(cost="0.001")
def look_up(word: str) -> str:
    """A tool that costs a tenth of a cent a call."""
    return f"{word}: a server that stores and serves messages"


def main(question: str) -> None:
    client = OpenAI()
    meter.instrument()
    with meter.session(budget="0.05", agent="researcher", on_soft_limit=warn) as session:
        messages: list[dict[str, object]] = [{"role": "user", "content": question}]
        try:
            for _ in range(20):
                answer = client.chat.completions.create(
                    model=session.model(MODEL, CHEAPER), messages=messages, tools=[LOOKUP]
                )
                message = answer.choices[0].message
                if not message.tool_calls:
                    print(message.content)
                    break
                messages.append(message.to_dict())
                for call in message.tool_calls:
                    result = look_up(**json.loads(call.function.arguments))
                    messages.append({"role": "tool", "tool_call_id": call.id, "content": result})
        except meter.CallBlocked as blocked:
            print(f"stopped: {blocked}")
            session.outcome(success=False)
    show(session.report())


def warn(session: meter.Session, notice: meter.Notice) -> None:
    print(f"careful: {notice.message}")


def show(report: meter.Report) -> None:
    print(f"\nspent ${report['total_spent']:f} of ${report['budget']:f}")
    for kind, part in report["breakdown"].items():
        for name, share in part["by_name"].items():
            print(f"  {kind:5} {name:24} {share['calls']:3} calls  ${share['total']:f}")
    for warning in report["warnings"]:
        print(f"  {warning['level']}: {warning['message']}")


if __name__ == "__main__":
    main(" ".join(sys.argv[1:]) or "What does a Kafka broker do?")

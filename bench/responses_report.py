"""What reading a response costs: CPU time of `usage_of`, the best of many runs, by dialect.

    python bench/responses_report.py --data ../shared/data

Reads recorded bodies of providers; without them there is nothing to say.
"""

import argparse
import json
import sys
import time
import timeit
from collections.abc import Callable
from pathlib import Path

from tollway.producers.responses import usage_of

TARGET_US = 15.0
_CALLS, _RUNS = 500, 30
_BODIES = (
    ("openai", "chat_completions__plain__gpt-4o-mini__de705.json"),
    ("openai", "chat_completions__cached__gpt-4o__43c40.json"),
    ("openai", "responses__reasoning_tools__gpt-5-mini__23c41.json"),
    ("anthropic", "messages__tools__claude-sonnet-4-6__eb8fe.json"),
    ("google_gemini", "generate_content__cached_reasoning__gemini-2.5-flash__44c76.json"),
    ("aws_bedrock", "vercel__amazon-bedrock-text.json"),
)


def best_us(act: Callable[[], object]) -> float:
    """CPU time, so that who else uses the machine counts little; the best, for the same reason."""
    runs = timeit.repeat(act, timer=time.process_time, number=_CALLS, repeat=_RUNS)
    return min(runs) / _CALLS * 1e6


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    folder = parser.parse_args().data / "provider_responses"
    if not folder.exists():
        sys.stderr.write(f"no recorded responses in {folder}\n")
        return 1
    slow = 0
    for provider, name in _BODIES:
        text = (folder / provider / name).read_bytes()
        body = json.loads(text)
        whole = best_us(lambda: usage_of(body, provider=provider))  # noqa: B023 (called at once)
        raw = best_us(lambda: usage_of(text, provider=provider))  # noqa: B023 (called at once)
        sys.stdout.write(f"{whole:6.1f} µs  {raw:6.1f} µs from bytes  {provider}/{name}\n")
        slow += whole > TARGET_US
    sys.stdout.write(f"slower than {TARGET_US:.0f} µs: {slow}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

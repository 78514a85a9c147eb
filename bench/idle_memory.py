"""What metering takes of an idle agent's memory, over that of the bare SDKs beside it.

``.frameworks/bin/python bench/idle_memory.py [host:port]`` prints JSON lines: it runs where the
SDKs are. With a broker, the process is a part of a fleet; without one, it has the price list.
"""

import json
import statistics
import subprocess
import sys

ROUNDS = 5
BARE = """
import anthropic, openai
clients = openai.OpenAI(api_key="x"), anthropic.Anthropic(api_key="x")
"""
METERED = "from tollway import meter; meter.init({settings}); meter.instrument(); meter.ready(10)"
# The resident memory of now, and not the highest that it ever was.
RESIDENT = """
import gc, os
gc.collect()
with open("/proc/self/statm") as statm:
    print(int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE"))
"""


def resident_mb(*lines: str) -> float:
    """The median of a few processes."""
    program = "\n".join((*lines, RESIDENT))
    return statistics.median(
        int(
            subprocess.run(
                [sys.executable, "-c", program], capture_output=True, check=True, text=True
            ).stdout
        )
        / 1e6
        for _ in range(ROUNDS)
    )


def main() -> None:
    bare = resident_mb(BARE)
    print(json.dumps({"name": "sdks_alone", "value": round(bare, 2), "unit": "MB"}))
    fleets = [("idle_alone", "")]
    if len(sys.argv) > 1:
        fleets.append(
            ("idle_in_a_fleet", f"brokers={sys.argv[1]!r}, workspace='bench', agent='bot'")
        )
    for name, settings in fleets:
        added = resident_mb(METERED.format(settings=settings), BARE) - bare
        print(json.dumps({"name": name, "value": round(added, 2), "unit": "MB"}), flush=True)


if __name__ == "__main__":
    main()

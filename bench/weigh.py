"""What a ledger weighs for each run: ``python -m bench.weigh runs|accounts`` prints bytes as JSON.

How much the resident memory of the process grew by `RUNS` runs, divided by their number; with
`accounts`, each run has an account of its own too. A run's weight holds its route, what its
detectors remember and the fingerprint of its one call.
"""

import gc
import json
import os
import sys
from pathlib import Path

from bench.recovery import budgets, runs_of_one_call
from tollway.domain.commanding import obey
from tollway.domain.ledger import Ledger
from tollway.domain.prices import Catalogue, PriceBook

WARM_UP = 50_000
RUNS = 200_000
NOW_MS = 1_790_000_000_000
WORKSPACE = "weigh"
SLICE = 1000


def resident() -> int:
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def apply(ledger: Ledger, values: list[bytes], first_offset: int) -> None:
    for at in range(0, len(values), SLICE):
        part = values[at : at + SLICE]
        offsets = range(first_offset + at, first_offset + at + len(part))
        ledger.apply(part, [WORKSPACE.encode()] * len(part), offsets, [NOW_MS] * len(part))
        ledger.take_charges()
        ledger.take_verdicts()
        ledger.close()


def main() -> None:
    ledger = Ledger(0, 1, PriceBook(Catalogue.bundled()))
    if sys.argv[1] == "accounts":
        for offset, command in enumerate(budgets([WORKSPACE], NOW_MS)):
            text = command.model_dump_json().encode()
            obey(ledger, WORKSPACE.encode(), text, offset, NOW_MS)
    values = [record.value for record in runs_of_one_call(WARM_UP + RUNS, [WORKSPACE], NOW_MS)]
    # The first pay for what is paid once.
    apply(ledger, values[:WARM_UP], 0)
    before = resident()
    apply(ledger, values[WARM_UP:], WARM_UP)
    print(json.dumps({"bytes": round((resident() - before) / RUNS)}))


if __name__ == "__main__":
    main()

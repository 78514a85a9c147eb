"""docs/performance.md shows what bench/results.json holds, and that holds what was asked for."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ASKED_FOR = {
    "worker_events_per_s",
    "worker_cpu_s_per_million",
    "worker_to_faust_table",
    "worker_to_quixstreams",
    "emit_to_block_p50_at_1000_per_s",
    "emit_to_block_p95_at_1000_per_s",
    "emit_to_block_p99_at_1000_per_s",
    "emit_to_block_p50_at_20000_per_s",
    "emit_to_block_p95_at_20000_per_s",
    "emit_to_block_p99_at_20000_per_s",
    "record",
    "check",
    "recovery_at_100000_accounts",
    "memory_per_account",
    "memory_per_session",
    "worker_share_fetch",
    "worker_share_decode",
    "worker_share_apply",
    "worker_share_encode",
    "worker_share_produce",
}


def test_the_document_shows_the_measured_figures() -> None:
    check = [sys.executable, "-m", "bench.tables", "--check"]
    done = subprocess.run(check, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_every_figure_that_was_asked_for_is_measured() -> None:
    results = json.loads((ROOT / "bench" / "results.json").read_text(encoding="utf-8"))
    assert {figure["name"] for figure in results["figures"]} >= ASKED_FOR
    assert results["machine"]["cores"] > 0

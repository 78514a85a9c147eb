"""Our prices of recorded usage, against those that genai-prices computed."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
DATA = Path(os.environ.get("TOLLWAY_DATA") or ROOT.parent / "shared" / "data")
ORACLE = DATA / "usage_objects_genai_prices.json.gz"


def test_every_difference_from_the_recorded_prices_has_a_reason() -> None:
    if not ORACLE.exists():
        pytest.skip(f"no recorded prices: {ORACLE} is absent; set TOLLWAY_DATA to their directory")
    report = subprocess.run(
        [sys.executable, str(ROOT / "bench" / "prices_report.py"), "--data", str(DATA)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "unexplained: 0" in report.stdout, report.stdout + report.stderr
    equal = re.search(r"([\d,]+)  equal\n", report.stdout)
    assert equal is not None
    assert int(equal[1].replace(",", "")) > 3_300
    assert report.returncode == 0

"""Peers' own published tests, from their source distributions, run against our names for theirs."""

import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pytest

from peer_alias import stand_in

__all__ = ["AGENTBUDGET", "FRAMEWORKS", "PRAMITI", "outcomes", "unpacked"]

AGENTBUDGET: Final = "agentbudget==0.4.0"
PRAMITI: Final = "pramiti-agent-finops==0.2.1"
ROOT: Final = Path(__file__).parents[2]
# The environment with the frameworks: see the Makefile.
FRAMEWORKS: Final = ROOT / ".frameworks" / "bin" / "python"
_SUPPORT: Final = Path(__file__).parent


def unpacked(requirement: str) -> Path:
    """The source distribution's directory, kept outside of this tree. Skips where there is none."""
    kept = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tollway-peers"
    name, version = requirement.split("==")
    directory = kept / f"{name.replace('-', '_')}-{version}"
    if not directory.is_dir():
        kept.mkdir(parents=True, exist_ok=True)
        _download(requirement, kept)
        (archive,) = kept.glob(f"{name.replace('-', '?')}-{version}.tar.gz")
        with tarfile.open(archive) as packed:
            packed.extractall(kept, filter="data")
    return directory


def _download(requirement: str, into: Path) -> None:
    name = requirement.split("==")[0]
    asked = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", name]
    done = subprocess.run(
        [*asked, "--dest", into, requirement],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    if done.returncode:
        pytest.skip(f"{requirement} cannot be fetched: {done.stderr.strip()[-200:]}")


def outcomes(
    python: Path,
    sources: Path,
    modules: tuple[str, ...],
    alias: tuple[str, str],
    directory: Path,
    environment: Mapping[str, str],
) -> dict[str, str]:
    """`passed`, `failed` or `skipped` by test: ``test_smoke::TestX::test_y``."""
    report = directory / "report.json"
    empty = directory / "pytest.ini"
    empty.write_text("[pytest]\n")
    stand_in(*alias, directory / "peer")
    # Where pramiti's tests send their child processes to find it.
    stand_in(*alias, directory / "packages" / "agent-finops" / "src")
    done = subprocess.run(
        [
            *(python, "-m", "pytest", "-c", empty, "-p", "peer_alias", "-p", "no:cacheprovider"),
            *("--rootdir", sources, "-q"),
            *(sources / "tests" / f"{module}.py" for module in modules),
        ],
        cwd=directory,
        env={
            **os.environ,
            **environment,
            "PEER_REPORT": str(report),
            "PYTHONPATH": f"{directory / 'peer'}:{_SUPPORT}",
        },
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    # 0: all passed; 1: some failed. Anything else ran no tests.
    assert done.returncode in {0, 1}, done.stdout + done.stderr
    told: dict[str, str] = json.loads(report.read_text())
    return told

"""Compiles the domain's hot modules with mypyc, beside their sources: ``make compile``.

    python -m bench.compile [--clean] [--into DIRECTORY]

The modules work the same without. What is compiled is ignored by git, and Python takes it instead
of the sources, also when they have changed since: compile again then, or `--clean`. `--into` fills
a copy of core/ elsewhere and leaves this tree as it is; a process with that copy first on
PYTHONPATH uses it.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

__all__ = ["HOT", "clean", "compiled_core"]

ROOT = Path(__file__).resolve().parent.parent
CORE = ROOT / "core"
# What every event passes through. The rest (commands, price lists, reading) runs seldom, or is C.
HOT = (
    "contract/moments.py",
    "contract/money.py",
    "contract/subjects.py",
    "domain/accounts.py",
    "domain/agents.py",
    "domain/booking.py",
    "domain/budgets.py",
    "domain/calendar.py",
    "domain/charging.py",
    "domain/crowding.py",
    "domain/dedup.py",
    "domain/detectors/*.py",
    "domain/free_calls.py",
    "domain/leaving.py",
    "domain/ledger.py",
    "domain/making_room.py",
    "domain/matching.py",
    "domain/prices/counts.py",
    "domain/prices/rates.py",
    "domain/pricing.py",
    "domain/reading.py",
    "domain/reporting.py",
    "domain/routes.py",
    "domain/runs.py",
    "domain/seeing.py",
    "domain/spend.py",
    "domain/stateful.py",
    "domain/usage.py",
    "domain/verdicts.py",
    "domain/waiting.py",
    "domain/workspaces.py",
)


def compiled_core(into: Path) -> Path:
    """A copy of core/ in `into`, compiled; kept from the last time while no source is newer."""
    copy = into / "core"
    stamp = into / "compiled"
    if stamp.exists() and stamp.stat().st_mtime >= _newest_source():
        return copy
    shutil.rmtree(into, ignore_errors=True)
    into.mkdir(parents=True)
    shutil.copytree(CORE, copy, ignore=shutil.ignore_patterns("*.so", "__pycache__"))
    _mypyc(copy)
    shutil.rmtree(copy / "build")
    stamp.touch()
    return copy


def _newest_source() -> float:
    sources = [*CORE.rglob("*.py"), Path(__file__)]
    return max(source.stat().st_mtime for source in sources)


def _mypyc(core: Path) -> None:
    """Compiles in place, below `core`: all modules as one group, so that they call each other."""
    hot = [
        str(path.relative_to(core))
        for pattern in HOT
        for path in sorted((core / "tollway").glob(pattern))
    ]
    mypyc = Path(sys.executable).parent / "mypyc"
    done = subprocess.run(
        [str(mypyc), "--namespace-packages", "--explicit-package-bases", *hot],
        cwd=core,
        env={**os.environ, "MYPYPATH": "."},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        last = "\n".join((done.stdout + done.stderr).splitlines()[-30:])
        sys.exit(f"mypyc could not compile the hot modules:\n{last}")


def clean(core: Path = CORE) -> int:
    """Removes what was compiled beside the sources; returns how many files."""
    compiled = list(core.rglob("*.so"))
    for path in compiled:
        path.unlink()
    return len(compiled)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, prog="python -m bench.compile")
    arguments.add_argument("--clean", action="store_true", help="remove what was compiled")
    arguments.add_argument("--into", type=Path, help="compile a copy there, not this tree")
    given = arguments.parse_args()
    if given.clean:
        print(f"removed {clean()} compiled modules; the sources are used now")
        return
    if given.into is not None:
        print(f"compiled; to use it: PYTHONPATH={compiled_core(given.into)}")
        return
    # In a copy first: a failure half-way would leave modules of two kinds side by side.
    with tempfile.TemporaryDirectory(prefix="tollway-compile-") as scratch:
        core = compiled_core(Path(scratch) / "tree")
        clean()
        built = list(core.rglob("*.so"))
        for path in built:
            shutil.copy2(path, CORE / path.relative_to(core))
    print(f"compiled {len(built)} modules beside their sources; `--clean` removes them")


if __name__ == "__main__":
    main()

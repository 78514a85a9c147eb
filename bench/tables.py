"""bench/results.json, and its table in docs/performance.md.

``python -m bench.tables`` writes the table anew from the results; with ``--check`` it only says
whether that would change anything.
"""

import sys
from pathlib import Path
from typing import Any

import msgspec

from bench.figures import Figure

__all__ = ["Results", "read_results", "table", "updated", "write_results"]

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "bench" / "results.json"
DOCUMENT = ROOT / "docs" / "performance.md"
OPENING, CLOSING = "<!-- figures -->\n", "<!-- /figures -->"


class Results(msgspec.Struct, frozen=True, kw_only=True):
    """One run of the bench on one machine."""

    command: str
    taken: str
    events: int
    machine: dict[str, Any]  # facts for people, as JSON has them
    figures: list[Figure]


def table(results: Results) -> str:
    machine = results.machine
    lines = [
        f"`{results.command}`, {results.taken[:10]}, {results.events:,} events; {machine['cpu']},"
        f" {machine['cores']} cores, {machine['memory_gib']} GiB; {machine['system']}, Python"
        f" {machine['python']}, Apache Kafka {machine['kafka']};"
        f" load before: {machine['load_before']}",
        "",
        "| figure | value | unit | target | |",
        "| --- | ---: | --- | --- | --- |",
    ]
    for figure in results.figures:
        verdict = "" if not figure.target() else "**missed**" if figure.is_missed() else "met"
        runs = f" ({', '.join(f'{run:,g}' for run in figure.runs)})" if figure.runs else ""
        lines.append(
            f"| `{figure.name}` | {figure.value:,g}{runs} | {figure.unit} | {figure.target()}"
            f" | {verdict} |"
        )
    later = [figure for figure in results.figures if figure.taken]
    if later:
        names = ", ".join(f"`{figure.name}`" for figure in later)
        lines += ["", f"Measured again on {later[-1].taken[:10]}, each part alone: {names}."]
    return "\n".join(lines) + "\n"


def updated(results: Results, figures: list[Figure], taken: str) -> Results:
    """With these figures in the place of those of their names, or behind the others."""
    new = {f.name: msgspec.structs.replace(f, taken=taken) for f in figures}
    kept = [new.pop(figure.name, figure) for figure in results.figures]
    return msgspec.structs.replace(results, figures=[*kept, *new.values()])


def read_results() -> Results:
    return msgspec.json.decode(RESULTS.read_bytes(), type=Results)


def write_results(results: Results) -> None:
    text = msgspec.json.format(msgspec.json.encode(results), indent=2)
    RESULTS.write_bytes(text + b"\n")
    document = _with_table(DOCUMENT.read_text(encoding="utf-8"), results)
    DOCUMENT.write_text(document, encoding="utf-8")


def _with_table(text: str, results: Results) -> str:
    head, opening, rest = text.partition(OPENING)
    _, closing, tail = rest.partition(CLOSING)
    if not opening or not closing:
        sys.exit(f"{DOCUMENT} has no markers {OPENING.strip()} and {CLOSING}")
    return f"{head}{opening}{table(results)}{closing}{tail}"


def main() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    written = _with_table(text, read_results())
    if sys.argv[1:] == ["--check"]:
        sys.exit(0 if written == text else f"{DOCUMENT} is not what {RESULTS} says")
    DOCUMENT.write_text(written, encoding="utf-8")


if __name__ == "__main__":
    main()

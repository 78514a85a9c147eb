"""House rules as tests: they keep the taste after the people have changed."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ("core", "producers", "streams", "sinks", "api", "cli", "tests", "bench")
MAX_FUNCTION, MAX_MODULE = 40, 300

# Each with the reason why it is better long than parted.
LONG_FUNCTIONS = {
    "bench/faults.py _report": "a report, line by line",
    "cli/tollway/cli/commands/budgets.py set_budget": "its arguments are a command's options",
    "cli/tollway/cli/commands/replay.py replay": "its arguments are a command's options",
    "sinks/tollway/sinks/metrics.py __init__": "a list of metrics, each with its help",
    "tests/support/fault_run.py run_faults": "one run of faults, from its beginning to its audit",
    "tests/cli/test_up_restore.py"
    " test_the_next_broker_holds_what_the_store_kept_of_the_one_before": "one story",
}
LONG_MODULES: dict[str, str] = {}
# The places that may catch everything: outermost guards, where the alternative is worse.
BROAD_EXCEPTS = {
    "producers/tollway/compat/agentbudget/clients.py": (1, "a call that failed is told and raised"),
    "producers/tollway/producers/kafka.py": (1, "without its thread nothing is ever delivered"),
    "producers/tollway/producers/listeners.py": (1, "the host's code must not end our thread"),
    "producers/tollway/producers/process.py": (2, "our fault must not stop the host's call"),
    "producers/tollway/producers/recorder.py": (2, "metering never breaks what it meters"),
    "producers/tollway/producers/carrying.py": (2, "thrown on into the generator it is for"),
    "producers/tollway/producers/streams.py": (2, "counted, and raised again"),
    "producers/tollway/producers/tools.py": (2, "counted, and raised again"),
    "producers/tollway/producers/local/session.py": (1, "a hook of the host's may do anything"),
    "producers/tollway/producers/adapters/attaching.py": (1, "a framework of a new version"),
    "producers/tollway/producers/responses/reading.py": (1, "a host's object may raise when read"),
    "streams/tollway/streams/app.py": (2, "crash-only: Faust would go on in place"),
    "streams/tollway/streams/worker.py": (2, "crash-only: the supervisor restarts us"),
}
DRAWERS = {"utils", "util", "helpers", "common", "constants", "misc", "base"}
PATTERN_NAMES = re.compile(r"(Manager|Helper|Helpers|Utils|Processor|Orchestrator)$")
UNASSIGNED = re.compile(r"\b(TODO|FIXME|XXX)\b(?!\(#\d+\))")
SLEEP = re.compile(r"\bsleep\((?!0\))")
SUPPRESSED = re.compile(r"# (?:noqa|type: ignore)(?:: [A-Z0-9, ]+|\[[\w, -]+\])?\s*$")
# Where packages come from is the machine's affair.
HOSTS = re.compile(
    r"pypi\.org|pythonhosted|npmjs|crates\.io|rubygems\.org|repo1?\.maven|maven\.org"
    r"|proxy\.golang|artifactory|sonatype",
    re.IGNORECASE,
)
TEXTS = {".py", ".md", ".toml", ".sql", ".yml", ".yaml", ".json", ".jsonl", ".html", ".js", ""}


def _modules(*rooms: str) -> Iterator[tuple[str, str]]:
    for room in rooms or ROOMS:
        for path in sorted((ROOT / room).rglob("*.py")):
            if path != Path(__file__).resolve():
                yield path.relative_to(ROOT).as_posix(), path.read_text()


def _nodes(*kinds: type[ast.AST]) -> Iterator[tuple[str, ast.AST]]:
    for name, text in _modules():
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, kinds):
                yield name, node


def test_a_function_fits_on_a_screen() -> None:
    long: set[str] = set()
    for name, node in _nodes(ast.FunctionDef, ast.AsyncFunctionDef):
        assert isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        if (node.end_lineno or 0) - node.lineno + 1 > MAX_FUNCTION:
            long.add(f"{name} {node.name}")
    assert long == set(LONG_FUNCTIONS)


def test_a_module_has_one_job_and_says_it_in_one_sentence() -> None:
    texts = dict(_modules())
    long = {name for name, text in texts.items() if text.count("\n") > MAX_MODULE}
    assert long == set(LONG_MODULES)
    silent = [name for name, text in texts.items() if text.strip() and not _says(text)]
    assert silent == []


def _says(text: str) -> bool:
    said = (ast.get_docstring(ast.parse(text)) or "").split("\n\n")[0]
    return said.endswith((".", "?", ":")) or said.count("`") >= 2


def test_no_module_is_a_drawer_and_no_class_is_named_after_a_pattern() -> None:
    assert [name for name, _ in _modules() if Path(name).stem in DRAWERS] == []
    classes = [
        (name, node.name) for name, node in _nodes(ast.ClassDef) if isinstance(node, ast.ClassDef)
    ]
    assert [pair for pair in classes if PATTERN_NAMES.search(pair[1])] == []


def test_what_is_left_to_do_has_an_issue() -> None:
    assert [name for name, text in _modules() if UNASSIGNED.search(text)] == []


def test_tests_wait_for_conditions_and_never_for_time() -> None:
    assert [name for name, text in _modules("tests") if SLEEP.search(text)] == []


def test_everything_is_caught_only_where_it_is_listed() -> None:
    found: dict[str, int] = {}
    for name, node in _nodes(ast.ExceptHandler):
        assert isinstance(node, ast.ExceptHandler)
        kinds = {
            part.id
            for part in ast.walk(node.type or ast.Name("BaseException"))
            if isinstance(part, ast.Name)
        }
        if kinds & {"Exception", "BaseException"}:
            found[name] = found.get(name, 0) + 1
    assert found == {name: count for name, (count, _) in BROAD_EXCEPTS.items()}


def test_a_suppression_gives_its_reason_in_the_same_line() -> None:
    bare = [
        f"{name}:{number}"
        for name, text in _modules()
        for number, line in enumerate(text.splitlines(), 1)
        if SUPPRESSED.search(line)
    ]
    assert bare == []


def test_tollway_is_a_namespace_that_no_room_owns() -> None:
    assert list(ROOT.glob("*/tollway/__init__.py")) == []


def test_no_file_names_a_registrys_host() -> None:
    places = [ROOT / room for room in (*ROOMS, "docs")]
    files = [path for place in places for path in place.rglob("*") if path.suffix in TEXTS]
    files += [path for path in ROOT.iterdir() if path.suffix in TEXTS]
    named = [
        path.relative_to(ROOT).as_posix()
        for path in files
        if path.is_file() and path != Path(__file__).resolve() and HOSTS.search(path.read_text())
    ]
    assert named == []

"""`tollway replay`: how runs are moved, and what becomes of what was sent."""

import gzip
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from running_up import RunningUp, running_up
from tollway.cli.main import app
from tollway.cli.replay.runs import Moved, Recorded, Stamp, moved, read_recorded

END_MS = 1_800_000_000_000


def event(number: int, **fields: object) -> dict[str, object]:
    return {
        "id": f"e{number}",
        "time": f"2026-01-01T00:00:{number:02d}.000Z",
        "workspace": "replayed",
        "agent": "bot",
        "session": "run-1",
        "provider": "openai",
        "model": "gpt-4o",
        "input_tokens": 1000,
        "output_tokens": 100,
        **fields,
    }


def write(path: Path, *lines: object) -> Path:
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    path.write_text("\n".join(texts) + "\n")
    return path


def tollway(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments), env={"NO_COLOR": "1"})


def test_each_run_ends_at_the_end_and_keeps_its_spacing(tmp_path: Path) -> None:
    path = write(
        tmp_path / "runs.jsonl",
        event(0, session="a"),
        event(50, session="b"),
        event(4, session="a"),
        event(53, session="b"),
    )

    lines = moved(list(read_recorded([path])), END_MS)

    ids = [json.loads(line.line)["id"] for line in lines]
    assert [(name, END_MS - line.at_ms) for name, line in zip(ids, lines, strict=True)] == [
        ("e0", 4000),
        ("e50", 3000),
        ("e4", 0),
        ("e53", 0),
    ]


@given(
    st.lists(
        st.tuples(st.sampled_from(["a", "b", None]), st.integers(0, 10**12)),
        min_size=1,
    )
)
def test_no_event_is_moved_beyond_the_end_and_every_run_reaches_it(
    recorded: list[tuple[str | None, int]],
) -> None:
    lines = moved(
        [
            Recorded(b"%d" % at, "w", None if run is None else ("w", run), at_ms)
            for at, (run, at_ms) in enumerate(recorded)
        ],
        END_MS,
    )

    assert len(lines) == len(recorded)
    assert all(line.at_ms <= END_MS for line in lines)
    assert max(line.at_ms for line in lines) == END_MS
    assert [line.at_ms for line in lines] == sorted(line.at_ms for line in lines)


def test_a_broken_line_stays_behind_its_neighbour_as_it_is(tmp_path: Path) -> None:
    path = write(tmp_path / "runs.jsonl", event(0), "{broken", event(9))

    lines = moved(list(read_recorded([path])), END_MS)

    assert [END_MS - line.at_ms for line in lines] == [9000, 9000, 0]
    assert Stamp("p").stamp(lines[1]) == b"{broken"


def test_only_the_time_and_the_sender_are_rewritten() -> None:
    line = b'{"id":"e1","time":"2026-01-01T00:00:00Z","workspace":"w","agent":"a",' + (
        b'"producer":"old","seq":7,"future":{"x":[1.50,2e3]},"cost":"0.10"}'
    )

    stamped = Stamp("replay-1").stamp(Moved(line, "w", 1_767_225_600_000, True))

    assert stamped == (
        b'{"id":"e1","time":"2026-01-01T00:00:00.000Z","workspace":"w","agent":"a",'
        b'"future":{"x":[1.50,2e3]},"cost":"0.10","producer":"replay-1","seq":0}'
    )


def test_what_the_worker_will_refuse_takes_no_running_number() -> None:
    def line(fields: dict[str, object]) -> Moved:
        return Moved(json.dumps(fields).encode(), "replayed", END_MS, True)

    stamp = Stamp("replay-1")
    stamped = [
        json.loads(stamp.stamp(line(fields)))
        for fields in (event(1), event(2, input_tokens=-5), event(3))
    ]

    assert [each.get("seq") for each in stamped] == [0, None, 1]


def test_compressed_files_are_read(tmp_path: Path) -> None:
    path = tmp_path / "runs.jsonl.gz"
    path.write_bytes(gzip.compress(json.dumps(event(1)).encode()))

    assert [each.workspace for each in read_recorded([path])] == ["replayed"]


def test_a_file_that_is_none_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "broken.gz").write_bytes(b"no gzip")

    missing = tollway("replay", str(tmp_path / "none.jsonl"), "--brokers", "127.0.0.1:1")
    broken = tollway("replay", str(tmp_path / "broken.gz"), "--brokers", "127.0.0.1:1")

    unknown = tollway("replay", str(tmp_path / "none.jsonl"))

    # What a file lacks is told before it is asked where to send it.
    assert "is not a file" in unknown.stderr
    assert (missing.exit_code, broken.exit_code) == (2, 1)
    assert "is not a file" in missing.stderr
    assert "cannot be read" in broken.stderr


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningUp]:
    with running_up(tmp_path_factory.mktemp("up")) as running:
        yield running


@pytest.mark.slow
def test_wait_says_what_arrived_what_was_refused_and_what_was_known(
    up: RunningUp, tmp_path: Path
) -> None:
    path = write(
        tmp_path / "runs.jsonl",
        event(1),
        event(2, model="gpt-nonesuch"),
        "no json",
        event(3, input_tokens=-5),
        event(1),
    )

    first = up.tollway("replay", str(path), "--wait", "--json")
    again = up.tollway("replay", str(path), "--wait")

    report = json.loads(first.stdout)
    assert {name: report[name] for name in ("sent", "failed", "charged", "unpriced", "known")} == {
        "sent": 5,
        "failed": 0,
        "charged": 2,
        "unpriced": 1,
        "known": 1,
    }
    assert {each["reason"]: each["records"] for each in report["refused"]} == {
        "broken_json": 1,
        "out_of_range": 1,
    }
    assert report["workspaces"] == ["replay", "replayed"]
    assert "\nworkspaces replay, replayed\n" in again.stdout
    assert "0 charged\n" in again.stdout
    assert "3 known already: not billed twice" in again.stdout
    spent = json.loads(up.tollway("spend", "-w", "replayed", "--json").stdout)["total"]
    # gpt-4o: 1000 tokens at $2.50 and 100 at $10 a million.
    assert (spent["cost"], spent["events"]) == ("0.003500000000", 2)
    assert up.tollway("audit").returncode == 0


@pytest.mark.slow
def test_recorded_runs_arrive_whole(up: RunningUp) -> None:
    data = os.environ.get("TOLLWAY_DATA") or Path(__file__).parents[3] / "shared" / "data"
    trace = Path(data) / "traces" / "tau_bench_airline.jsonl.gz"
    if not trace.is_file():
        pytest.skip(f"NO RECORDED RUNS: {trace} is not there; set TOLLWAY_DATA")

    report = json.loads(up.tollway("replay", str(trace), "--wait", "--json").stdout)

    assert (report["sent"], report["charged"], report["known"]) == (1954, 1954, 0)
    assert up.tollway("audit").returncode == 0
    assert up.tollway("doctor").returncode == 0


@pytest.mark.slow
def test_real_time_takes_the_time_of_the_longest_run(up: RunningUp, tmp_path: Path) -> None:
    path = write(
        tmp_path / "runs.jsonl",
        event(10, session="long", id="l0"),
        event(12, session="long", id="l1"),
        event(20, session="short", id="s0"),
    )

    report = json.loads(up.tollway("replay", str(path), "--speed", "1x", "--json").stdout)

    assert report["sent"] == 3
    assert 1.9 < report["seconds"] < 10

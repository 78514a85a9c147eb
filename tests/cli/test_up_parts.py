"""The parts of `tollway up` that need no processes."""

import json
from pathlib import Path

import pytest

from tollway.cli.up.directory import MAX_LOG_BYTES, AlreadyRunning, RunDirectory
from tollway.cli.up.member import Patience


def test_pauses_double_with_each_death_and_the_fifth_in_a_minute_is_too_many() -> None:
    patience = Patience()

    pauses = [patience.death(now) for now in (0.0, 1.0, 2.0, 3.0, 4.0)]

    assert pauses == [0.2, 0.4, 0.8, 1.6, None]


def test_deaths_of_more_than_a_minute_ago_are_forgiven() -> None:
    patience = Patience()

    pauses = [patience.death(now) for now in (0.0, 30.0, 60.0, 90.0, 120.0, 150.0)]

    assert pauses == [0.2, 0.4, 0.4, 0.4, 0.4, 0.4]


def test_one_of_two_gets_the_directory(tmp_path: Path) -> None:
    with (
        RunDirectory(tmp_path).locked(),
        pytest.raises(AlreadyRunning, match=r"already runs in .* \(pid \d+\)"),
        RunDirectory(tmp_path).locked(),
    ):
        raise AssertionError("two have the directory")

    with RunDirectory(tmp_path).locked():
        assert (tmp_path / "lock").exists()


def test_a_run_file_of_a_killed_up_is_gone_once_the_next_one_has_the_directory(
    tmp_path: Path,
) -> None:
    (tmp_path / "run.json").write_text(json.dumps({"broker": "127.0.0.1:1"}))

    with RunDirectory(tmp_path).locked():
        assert not (tmp_path / "run.json").exists()


def test_a_log_over_the_limit_is_cut_and_its_writer_goes_on_at_the_new_end(tmp_path: Path) -> None:
    directory = RunDirectory(tmp_path)
    with directory.locked():
        log = directory.logs / "worker-0.log"
        with log.open("ab", buffering=0) as writer:
            writer.write(b"x" * (MAX_LOG_BYTES + 1))
            directory.limit_logs()
            writer.write(b"after\n")

    assert log.read_bytes() == b"after\n"
    assert (directory.logs / "worker-0.log.1").stat().st_size == MAX_LOG_BYTES + 1

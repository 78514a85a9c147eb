"""What keeps `tollway up` from starting is one line that says the way out."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest

import fake_up

DEADLINE_S = 40.0


def refusal(directory: Path, *options: str) -> str:
    done = subprocess.run(
        [sys.executable, fake_up.__file__, str(directory), *options],
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    return done.stderr


def test_a_port_that_is_taken_is_told_before_anything_starts(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        line = refusal(tmp_path / "up", "--port", str(port))

    assert (
        line == f"tollway up: port {port} is taken; name another --port, or none for a free one\n"
    )


@pytest.mark.parametrize("port", ["99999", "-1"])
def test_a_port_that_is_none_is_told(tmp_path: Path, port: str) -> None:
    line = refusal(tmp_path / "up", f"--port={port}")

    assert line == f"tollway up: --port {port} is no port: 1 to 65535, or 0 for a free one\n"


def test_a_directory_that_is_none_is_told(tmp_path: Path) -> None:
    (tmp_path / "up").write_text("a file")

    assert refusal(tmp_path / "up") == (
        f"tollway up: {tmp_path / 'up'} cannot hold the data: Not a directory; name another --dir\n"
    )


def test_brokers_that_do_not_answer_are_told_in_words(tmp_path: Path) -> None:
    line = refusal(tmp_path / "up", "--brokers", "127.0.0.1:1")

    assert "the brokers at 127.0.0.1:1 do not answer as they should" in line
    assert "KafkaError{" not in line
    assert len(line.splitlines()) == 1

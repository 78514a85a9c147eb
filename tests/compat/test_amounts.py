"""Floats of peers' callers become exact amounts, and exact amounts the nearest floats."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollway.compat.amounts import NotDollars, as_float, exact_pico


@pytest.mark.parametrize(
    ("amount", "pico"),
    [
        (0.1, 100_000_000_000),
        ("$5.00", 5_000_000_000_000),
        (" 5 ", 5_000_000_000_000),
        (5, 5_000_000_000_000),
        (Decimal("0.000000000001"), 1),
        (1e-12, 1),
        (0.1 + 0.2, 300_000_000_000),
        (0, 0),
    ],
)
def test_an_amount_means_what_its_author_wrote(amount: object, pico: int) -> None:
    assert exact_pico(amount) == pico


@pytest.mark.parametrize(
    "amount",
    [
        *(
            float("nan"),
            float("inf"),
            -0.01,
            -1,
            "NaN",
            "1e400",
            "-1",
            "",
            "five",
            True,
            None,
            b"5",
        ),
        Decimal("sNaN"),
    ],
)
def test_what_is_no_amount_is_refused(amount: object) -> None:
    with pytest.raises(NotDollars):
        exact_pico(amount)


@given(st.lists(st.integers(0, 10**6), max_size=50))
def test_a_sum_of_cents_is_exact_however_many_floats_it_came_in(cents: list[int]) -> None:
    total = sum(exact_pico(each / 100) for each in cents)

    assert as_float(total) == sum(cents) / 100


@given(st.integers(0, 4_000 * 10**12))
def test_what_goes_out_comes_in_again_as_the_same(pico: int) -> None:
    assert exact_pico(as_float(pico)) == pico

"""Hashes are equal where the texts are, differ by key, and tell nothing of the text."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollway.producers.hashes import MAX_HASHED, Hashes

KEYED = Hashes("a workspace's secret")


@given(st.dictionaries(st.text(), st.integers() | st.text() | st.none()))
def test_the_order_of_keys_does_not_matter(value: dict[str, object]) -> None:
    backwards = dict(reversed(value.items()))
    assert KEYED.of(value) == KEYED.of(backwards)


@given(st.text(), st.text())
def test_other_texts_have_other_hashes(one: str, other: str) -> None:
    assert (KEYED.of(one) == KEYED.of(other)) == (one == other)


def test_processes_under_one_key_agree_and_others_do_not() -> None:
    assert Hashes("k").of("prompt") == Hashes("k").of("prompt")
    assert Hashes("k").of("prompt") != Hashes("other").of("prompt")
    # Without a key each process has its own.
    assert Hashes(None).of("prompt") != Hashes(None).of("prompt")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("order 1001 not found", "order 1002 not found"),
        ("retry in 29 s", "retry in 3 s"),
        (
            "request 9f1c0c34-aaaa-4bbb-8ccc-1234567890ab failed",
            "request 0a2b3c4d-eeee-4fff-9aaa-ba0987654321 failed",
        ),
        ({"error": "at 12:30:01.5"}, {"error": "at 12:31:44.1"}),
    ],
)
def test_results_that_say_the_same_are_equal(one: object, other: object) -> None:
    assert KEYED.of_result(one) == KEYED.of_result(other)


def test_results_that_say_something_else_differ() -> None:
    assert KEYED.of_result("not found") != KEYED.of_result("found")


def test_what_has_no_json_form_is_hashed_by_what_it_says_of_itself() -> None:
    class Odd:
        def __repr__(self) -> str:
            return "odd"

    assert KEYED.of(Odd()) == KEYED.of(Odd())
    assert KEYED.of(Odd()) != KEYED.of(object())
    assert KEYED.of(b"\xff\xfe") != KEYED.of(b"\xfe\xff")
    recursive: list[object] = []
    recursive.append(recursive)
    assert len(KEYED.of(recursive)) == 16


def test_a_model_is_hashed_as_what_it_holds() -> None:
    class Message(msgspec.Struct):
        role: str

    class Dumped:
        def model_dump(self) -> dict[str, str]:
            return {"role": "user"}

    assert KEYED.of(Message("user")) == KEYED.of(Dumped()) == KEYED.of({"role": "user"})


def test_a_very_long_text_is_told_by_its_ends_and_its_length() -> None:
    long = "x" * (2 * MAX_HASHED)
    assert KEYED.of(long) != KEYED.of(long + "x")
    assert KEYED.of("a" + long) != KEYED.of("b" + long)


def test_a_results_size_is_told_in_tokens() -> None:
    fields = KEYED.result_fields("word " * 80)
    assert fields["result_tokens"] == 100
    assert fields["result_hash"] == KEYED.of_result("word " * 80)

"""Keys and partitions: what compaction and co-partitioning rest on."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollway.contract.control import Cause, Decision, Finding, Heartbeat, control_key
from tollway.contract.subjects import DIMENSIONS, encode_name, encode_subject
from tollway.contract.topics import TOPICS, partition_of

CAUSE = Cause(partition=0, offset=1, event_id="e")


# Values of Kafka's own murmur2 (org.apache.kafka.common.utils.UtilsTest), made positive.
@pytest.mark.parametrize(
    ("name", "signed"),
    [
        ("21", -973932308),
        ("foobar", -790332482),
        ("a-little-bit-long-string", -985981536),
        ("a-little-bit-longer-string", -1486304829),
        ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        ("abc", 479470107),
    ],
)
def test_a_partition_is_kafkas_own(name: str, signed: int) -> None:
    assert partition_of(name, 2**31) == signed & 0x7FFFFFFF


@given(st.text(), st.integers(1, 100))
def test_a_workspace_has_one_partition(name: str, partitions: int) -> None:
    assert 0 <= partition_of(name, partitions) < partitions


def test_topics_of_one_workspace_are_partitioned_alike() -> None:
    apart = [topic.name for topic in TOPICS if not topic.co_partitioned]
    assert apart == ["tollway.deadletter"]


SUBJECTS = st.dictionaries(st.sampled_from(DIMENSIONS), st.text(), max_size=3)


@given(SUBJECTS, SUBJECTS)
def test_subjects_have_one_text_if_and_only_if_they_are_equal(
    one: dict[str, str], other: dict[str, str]
) -> None:
    assert (encode_subject(one) == encode_subject(other)) == (one == other)
    assert encode_subject(dict(reversed(one.items()))) == encode_subject(one)


@given(st.text(), st.text())
def test_a_name_in_a_key_holds_no_separator(one: str, other: str) -> None:
    assert not set("|&=/*") & set(encode_name(one))
    assert (encode_name(one) == encode_name(other)) == (one == other)


def test_a_record_of_control_has_the_key_of_what_it_is_about() -> None:
    decision = Decision(
        id="d",
        workspace="a|b",
        subject={"model": "x", "agent": "b t"},
        rule="budget:cap",
        action="warn",
        reason="",
        message="",
        cause=CAUSE,
        version=(1, 2, 3),
        issued_at="",
    )
    finding = Finding(
        id="f",
        detector="retry_loop",
        level="warn",
        workspace="acme",
        agent="a/b",
        event_id="e",
        message="",
        time="",
        cause=CAUSE,
        version=(1, 2, 3),
    )
    beat = Heartbeat(partition=3, generation=1, usage_offset=2, commands_offset=3, issued_at="")
    assert [control_key(record) for record in (decision, finding, beat)] == [
        "a%7Cb|agent=b%20t&model=x|budget:cap",
        "acme|a%2Fb/|finding:retry_loop",
        "heartbeat|3",
    ]

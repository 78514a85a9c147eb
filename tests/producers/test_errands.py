"""What a host need not wait for is done behind its back, once, and none of it is lost."""

import threading
import weakref
from functools import partial
from itertools import count
from pathlib import Path

from host_programs import nobody_listens, run
from tollway import meter
from tollway.producers.calls import Asked, Call, begin
from tollway.producers.errands import MAX_WAITING, Errands
from tollway.producers.testing import metered

WAIT_S = 10.0


class Seen:
    """A response that notes who reads it."""

    def __init__(self) -> None:
        self.readers: set[str] = set()

    @property
    def usage(self) -> dict[str, int]:
        self.readers.add(threading.current_thread().name)
        return {"prompt_tokens": 7, "completion_tokens": 3}


def a_call() -> Call:
    return begin(lambda: Asked(framework="test", model="gpt-4o"))


def test_a_response_is_read_behind_the_hosts_back() -> None:
    with metered(workspace="acme", agent="bot") as running, meter.attribute(customer="corp"):
        response = Seen()
        a_call().answered(response)
        (event,) = running.events()

    assert response.readers == {"tollway-errands"}
    assert (event.customer, event.input_tokens, event.output_tokens) == ("corp", 7, 3)


def test_a_response_that_was_read_is_not_kept_until_the_next_one() -> None:
    with metered(workspace="acme", agent="bot"):
        response, freed = Seen(), threading.Event()
        weakref.finalize(response, freed.set)
        a_call().answered(response)
        del response

        assert freed.wait(WAIT_S)


def test_a_session_knows_at_once_what_was_spent_in_it() -> None:
    with metered(workspace="acme", agent="bot"), meter.session("1.00") as session:
        response = Seen()
        a_call().answered(response)
        assert session.spent > 0

    assert response.readers == {threading.current_thread().name}


def test_stats_have_the_calls_that_have_ended() -> None:
    with metered(workspace="acme", agent="bot"):
        for number in range(1, 50):
            a_call().answered({"usage": {"prompt_tokens": 1, "completion_tokens": 1}})
            assert meter.stats().recorded == number


def test_an_event_says_when_its_call_ended_and_not_when_it_was_read() -> None:
    with metered(workspace="acme", agent="bot") as running:
        held = Held(running.metering.errands)
        a_call().answered({"usage": {"prompt_tokens": 1, "completion_tokens": 1}})
        meter.record(model="gpt-4o")
        held.go_on()
        read_first, read_later = running.events()

    assert (read_first.input_tokens, read_later.input_tokens) == (0, 1)
    assert read_later.time <= read_first.time


def test_errands_are_done_in_their_order_by_one_thread() -> None:
    errands, done = Errands(), list[tuple[int, int]]()
    for number in range(100):
        errands.give(partial(_note, done, number))
    assert errands.finish(WAIT_S)

    assert [number for number, _ in done] == list(range(100))
    assert len({thread for _, thread in done} - {threading.get_ident()}) == 1


def _note(done: list[tuple[int, int]], number: int) -> None:
    done.append((number, threading.get_ident()))


class Held:
    """Keeps the thread from its errands until it is let go."""

    def __init__(self, errands: Errands) -> None:
        self._held, self._go_on = threading.Event(), threading.Event()
        errands.give(self._hold)
        assert self._held.wait(WAIT_S)

    def _hold(self) -> None:
        self._held.set()
        self._go_on.wait(WAIT_S)

    def go_on(self) -> None:
        self._go_on.set()


def test_past_a_limit_the_host_does_them_itself() -> None:
    errands, done = Errands(), list[int]()
    held = Held(errands)

    def note() -> None:
        done.append(threading.get_ident())

    for _ in range(MAX_WAITING):
        errands.give(note)
    assert done == []
    errands.give(note)
    assert done == [threading.get_ident()]
    assert not errands.finish(0.01)
    held.go_on()
    assert errands.finish(WAIT_S)
    assert len(done) == MAX_WAITING + 1


def test_an_errand_may_ask_for_the_end_of_the_others() -> None:
    errands, finished = Errands(), list[bool]()
    errands.give(lambda: finished.append(errands.finish(WAIT_S)))
    assert errands.finish(WAIT_S)
    assert finished == [True]


def test_nothing_is_lost_between_the_giving_and_the_closing() -> None:
    for _ in range(20):
        threads_before = set(threading.enumerate())
        errands, done = Errands(), count()
        together = threading.Barrier(5)
        givers = [threading.Thread(target=_give, args=(errands, together, done)) for _ in range(4)]
        for giver in givers:
            giver.start()
        together.wait()
        errands.close(WAIT_S)
        for thread in set(threading.enumerate()) - threads_before:
            thread.join(WAIT_S)
            assert not thread.is_alive()
        assert next(done) == 4 * GIVEN


GIVEN = 500


def _give(errands: Errands, together: threading.Barrier, done: "count[int]") -> None:
    together.wait()
    for _ in range(GIVEN):
        errands.give(lambda: next(done))


def test_a_forked_child_does_not_do_its_parents_errands(tmp_path: Path) -> None:
    done = run(
        """
        import os, threading
        from tollway import meter
        from tollway.producers.calls import Asked, begin
        from tollway.producers.testing import metered

        def call():
            begin(lambda: Asked(framework="test")).answered({"usage": {"prompt_tokens": 1}})

        with metered(workspace="acme", agent="bot") as running:
            go_on = threading.Event()
            running.metering.errands.give(go_on.wait)
            call()
            child = os.fork()
            if child == 0:
                call()
                print(meter.stats().recorded, flush=True)
                os._exit(0)
            os.waitpid(child, 0)
            go_on.set()
            print(meter.stats().recorded)
        """,
        tmp_path,
    )

    assert done.stdout == "1\n1\n", done.stderr


def test_a_call_whose_answer_came_last_is_counted_at_the_end_of_the_process(
    tmp_path: Path,
) -> None:
    done = run(
        """
        from tollway import meter
        from tollway.producers.calls import Asked, begin
        meter.init(workspace="acme", agent="bot")
        for _ in range(100):
            begin(lambda: Asked(framework="test")).answered({"usage": {"prompt_tokens": 1}})
        """,
        tmp_path,
        brokers=nobody_listens(),
    )

    assert "the process ends with 100 usage events not delivered" in done.stderr

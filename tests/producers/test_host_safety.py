"""The host comes first: no broker, forks, signals, exits and imports must not hurt it."""

import json
import signal
import time
from pathlib import Path

import pytest

from host_programs import nobody_listens, run


def test_importing_the_front_door_loads_no_driver_and_no_price_list(tmp_path: Path) -> None:
    done = run(
        """
        import sys
        from tollway import meter
        heavy = ("confluent_kafka", "pydantic", "genai_prices", "asyncio", "tomllib")
        print([name for name in heavy if name in sys.modules])
        """,
        tmp_path,
    )

    assert done.stdout == "[]\n", done.stderr


def test_without_a_broker_record_is_quick_and_the_exit_takes_two_seconds(tmp_path: Path) -> None:
    done = run(
        """
        import json, time
        from tollway import meter
        meter.init(workspace="acme", agent="bot")
        slowest_s = 0.0
        for _ in range(12_000):
            began_s = time.thread_time()
            meter.record(model="gpt-4o", input_tokens=10)
            slowest_s = max(slowest_s, time.thread_time() - began_s)
        meter.check()
        stats = meter.stats()
        print(json.dumps({
            "slowest_ms": slowest_s * 1000, "queued": stats.queued, "dropped": stats.dropped,
            "guard": stats.guard, "ended": time.time(),
        }))
        """,
        tmp_path,
        brokers=nobody_listens(),
    )
    ended = time.time()

    said = json.loads(done.stdout)
    assert (done.returncode, said["queued"], said["guard"]) == (0, 10_000, "warming")
    assert said["dropped"] == {"queue_full": 2_000}
    assert said["slowest_ms"] < 50
    assert ended - said["ended"] < 5
    assert "the process ends with 10000 usage events not delivered" in done.stderr
    assert len(done.stderr.splitlines()) < 10


def test_settings_that_cannot_work_do_not_stop_a_process_that_never_called_init(
    tmp_path: Path,
) -> None:
    done = run(
        """
        from tollway import meter
        meter.record(agent="bot", model="gpt-4o")
        meter.check(agent="bot")
        print(meter.stats().tally)
        """,
        tmp_path,
        brokers="kafka.example.com:9092",
    )

    assert done.stdout == "{'bot': 1}\n"
    assert "tollway meters nothing" in done.stderr
    assert "allow_plaintext" in done.stderr


def test_init_says_what_librdkafka_refuses_and_not_the_secret(tmp_path: Path) -> None:
    done = run(
        """
        from tollway import meter
        try:
            meter.init(workspace="acme", kafka={"sasl.password": "hunter2", "no.such": "1"})
        except meter.BadSettings as error:
            print(error)
        """,
        tmp_path,
        brokers=nobody_listens(),
    )

    assert "no.such" in done.stdout
    assert "hunter2" not in done.stdout + done.stderr


@pytest.mark.parametrize("before", ["default", "handler", "exit"])
def test_sigterm_does_what_it_did_before(tmp_path: Path, before: str) -> None:
    done = run(
        f"""
        import os, signal, sys, threading
        before = {before!r}
        if before == "handler":
            signal.signal(signal.SIGTERM, lambda number, frame: print("mine", number, flush=True))
        if before == "exit":
            signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(7))
        from tollway import meter
        meter.init(workspace="acme", agent="bot")
        meter.record(model="gpt-4o")
        meter.init(workspace="acme", agent="bot")
        os.kill(os.getpid(), signal.SIGTERM)
        print("goes on", flush=True)
        """,
        tmp_path,
        brokers=nobody_listens(),
    )

    expected = {
        "default": ("", -signal.SIGTERM),
        "handler": ("mine 15\ngoes on\n", 0),
        "exit": ("", 7),
    }
    assert (done.stdout, done.returncode) == expected[before], done.stderr


@pytest.mark.parametrize("why", ["ignored", "not wanted", "no main thread"])
def test_sigterm_is_left_alone(tmp_path: Path, why: str) -> None:
    done = run(
        f"""
        import signal, threading
        why = {why!r}
        if why == "ignored":
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        before = signal.getsignal(signal.SIGTERM)
        from tollway import meter
        def begin():
            meter.init(workspace="acme", agent="bot", sigterm=why != "not wanted")
        if why == "no main thread":
            thread = threading.Thread(target=begin)
            thread.start()
            thread.join()
        else:
            begin()
        print(signal.getsignal(signal.SIGTERM) == before)
        """,
        tmp_path,
        brokers=nobody_listens(),
    )

    assert done.stdout == "True\n", done.stderr


def test_a_forked_child_ends_well_whether_it_meters_or_not(tmp_path: Path) -> None:
    done = run(
        """
        import gc, os, sys
        from tollway import meter
        meter.init(workspace="acme", agent="bot")
        meter.record(model="gpt-4o")
        parent = meter.stats().producer
        for metering in (False, True):
            child = os.fork()
            if child == 0:
                if metering:
                    meter.record(model="gpt-4o")
                    stats = meter.stats()
                    print(stats.producer != parent, stats.recorded, stats.queued, flush=True)
                gc.collect()
                sys.exit(0)
            print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
        """,
        tmp_path,
        brokers=nobody_listens(),
    )

    assert done.stdout == "0\nTrue 1 1\n0\n", done.stderr


def test_what_a_parent_knew_holds_in_its_child(tmp_path: Path) -> None:
    done = run(
        """
        import os
        from tollway import meter
        from tollway.producers.testing import metered
        with metered(workspace="acme", agent="bot") as metering:
            metering.block(agent="bot")
            child = os.fork()
            if child == 0:
                try:
                    meter.check()
                except meter.CallBlocked as blocked:
                    os._exit(3)
                os._exit(0)
            print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        """,
        tmp_path,
    )

    assert done.stdout == "3\n", done.stderr


def test_the_first_check_waits_for_the_guard_as_long_as_it_was_told(tmp_path: Path) -> None:
    done = run(
        """
        import time
        from tollway import meter
        meter.init(workspace="acme", agent="bot", wait_s=0.3, on_stale="closed")
        began_s = time.monotonic()
        for _ in range(3):
            try:
                meter.check()
            except meter.CallBlocked as blocked:
                print(blocked.reason)
        print(0.3 <= time.monotonic() - began_s < 0.6)
        """,
        tmp_path,
        brokers=nobody_listens(),
    )

    assert done.stdout == "guard_warming\n" * 3 + "True\n", done.stderr

"""Documented incidents as events, from their published figures: what `production` says of each."""

from detector_runs import AgentRun, production
from tollway.contract.command import DetectorParameters, Policy

HOUR_MS = 3_600_000


def test_three_hundred_identical_failing_commands_are_blocked_at_the_third() -> None:
    # claude-code#15909: one failing npm command, 300 times in 4.6 hours, 27 M tokens.
    run = AgentRun(production(), step_ms=int(4.6 * HOUR_MS) // 600)
    first_block = 0
    for number in range(1, 301):
        run.llm(90_000, output=60, prompt=f"p{number}")
        for sighting in run.tool("bash", "npm", "exit 1"):
            if sighting.level == "block" and not first_block:
                first_block = number
    assert first_block == 3


def test_listing_one_directory_six_times_is_blocked() -> None:
    # pi#6158: ls of one directory, the output identical, six times and then five.
    run = AgentRun(production())
    for count in (6, 5):
        for _ in range(count):
            run.tool("ls", "src", "listing")
        run.tool("read", f"after-{count}", "text")
    assert run.said() == [("retry_loop", "block")] * 3


def test_two_agents_that_only_answer_each_other_are_blocked() -> None:
    # The 47,000-dollar story: a cycle of two, never three identical calls in a row.
    run = AgentRun(production())
    for _ in range(3):
        run.tool("ask_analyst", "clarify", "please verify")
        run.tool("ask_verifier", "verify", "please clarify")
    assert run.said() == [("retry_loop", "block")]
    assert run.heard[0].evidence["cycle_length"] == "2"


def test_the_same_tool_with_ever_new_arguments_is_no_loop_but_meets_its_budget() -> None:
    # octos#284: 19 iterations of one tool, 25,000 tokens each; each with other arguments.
    run = AgentRun(production("1.00"))
    for number in range(19):
        run.llm(25_000, usd="0.0625", prompt=f"p{number}")
        run.tool("shell", f"a{number}", f"r{number}")
    assert run.said() == [("budget_exceeded", "warn"), ("budget_exceeded", "block")]


def test_healthy_polling_is_left_alone_where_its_tool_is_listed() -> None:
    # openmono#47 and openhands-sdk#762: three and four identical status checks.
    listed = Policy(detectors=DetectorParameters(polling_tools=["CheckStatus"]))
    run = AgentRun(listed)
    for number in range(40):
        run.llm(5_000 + number, prompt=f"p{number}")
        run.tool("CheckStatus", "job-1", "running")
    assert run.said() == []


def test_polling_less_often_than_every_five_minutes_is_no_loop_unlisted() -> None:
    # openhands-sdk#762: a check every five minutes, and the model's own seconds between.
    run = AgentRun(production())
    for number in range(12):
        run.at_ms += 300_000
        run.llm(5_000 + number, prompt=f"p{number}")
        run.tool("check", "job-1", "running")
    assert run.said() == []


def test_a_context_that_creeps_up_for_681_turns_is_warned_of_once() -> None:
    # gajae-code-app#159: 96k to 644k tokens in 681 turns, never +20 % in one step.
    run = AgentRun(production(), step_ms=60_000)
    run.window = 1_000_000
    for number in range(681):
        run.llm(96_013 + 805 * number, usd="0.207", prompt=f"p{number}")
    levels = [sighting for sighting in run.heard if sighting.detector == "context_bloat"]
    assert [sighting.level for sighting in levels] == ["warn"]
    assert levels[0].evidence["input"] == "600748"


def test_a_context_that_creeps_up_meets_the_runs_budget() -> None:
    # The same run, $140.95 in the end: a budget of $25 stops it after a sixth of the money.
    run = AgentRun(production("25.00"), step_ms=60_000)
    run.window = 1_000_000
    for number in range(681):
        run.llm(96_013 + 805 * number, usd="0.207", prompt=f"p{number}")
        if ("budget_exceeded", "block") in run.said():
            break
    assert run.watch.events == 121


def test_one_jump_of_the_input_is_a_spike_and_fills_the_window() -> None:
    # opencode#26184: 18k, 21k, then 570k and more; $0.004 becomes $0.98 to $1.06 a request.
    run = AgentRun(production(), step_ms=60_000)
    for number in range(40):
        run.llm(21_000, usd="0.004", prompt=f"p{number}")
    heard = run.llm(570_000, usd="1.06", prompt="p")
    assert [sighting.detector for sighting in heard] == [
        "token_acceleration",
        "spend_spike",
        "context_bloat",
    ]


def test_an_input_that_jumps_eightfold_at_its_second_step_is_a_jump() -> None:
    # aider#2491: 114,000 tokens, then 915,000.
    run = AgentRun(production())
    run.window = 2_000_000
    run.llm(114_000, usd="0.34")
    (sighting,) = run.llm(915_000, usd="2.75")
    assert sighting.detector == "context_bloat"
    assert sighting.message.startswith("the input grew by 702 % in one step")


def test_a_lost_cache_shows_in_money_though_the_input_is_flat() -> None:
    # senpi#589: the input is about 200k each turn; now and then 178k of it is not from the cache.
    # At $5 a million for input and $0.50 for what is cached.
    uncached = [1_614, 1_979, 1_870] * 20 + [177_947]
    cached = [199_168, 196_096, 198_144] * 20 + [22_016]
    run = AgentRun(production(spike_floor_microusd=500_000, spike_percent=800), step_ms=30_000)
    heard = []
    for number, (fresh, read) in enumerate(zip(uncached, cached, strict=True)):
        micro_usd = fresh * 5 + read // 2
        heard = run.llm(fresh + read, usd=f"0.{micro_usd:06d}", prompt=f"p{number}")
    assert [sighting.detector for sighting in heard] == ["spend_spike"]


def test_an_oversized_result_is_warned_of_when_it_is_read() -> None:
    # archi#599: a result of 400,000 tokens in a prompt of 452,217.
    # codexmcp#4: one of 94,702. marcus#59: one of 2,315,975, cut to 25,000 by its client.
    for result, prompt in ((400_000, 452_217), (94_702, 130_000), (2_315_975, 60_000)):
        run = AgentRun(production())
        run.window = 10_000_000
        run.tool("list", "a", "r", tokens=300)
        run.tool("list", "b", "s", tokens=300)
        run.llm(35_000, output=80)
        run.tool("search", "c", "t", tokens=result)
        seen = {sighting.detector for sighting in run.llm(prompt)}
        assert "tool_amplification" in seen


def test_a_cap_that_was_passed_within_three_minutes_is_seen_at_its_call() -> None:
    # command-code#888: 12 requests in 169 s, $15.56 against a cap of $14.
    run = AgentRun(production("14.00"), step_ms=14_000)
    costs = ["0.361"] * 8 + ["3.1686"] * 4
    blocked_at = [
        number
        for number, usd in enumerate(costs, 1)
        if any(sighting.level == "block" for sighting in run.llm(109_000, usd=usd))
    ]
    assert blocked_at == [12]


def test_a_healthy_second_turn_that_costs_six_times_the_first_is_not_blocked() -> None:
    # vscode-azureresourcegroups#1713: 24,500 to 72,600 tokens a step over 18 steps, one result.
    run = AgentRun(production())
    for number in range(18):
        run.llm(24_500 + 2_829 * number, output=300, usd="0.05", prompt=f"p{number}")
        run.tool("edit", f"a{number}", "ok", tokens=40)
    assert run.said() == []

"""Blocks, prices and policies: each answer is a command that is in the log."""

import pytest
from fastapi.testclient import TestClient

from api_fakes import CommandList
from tollway.contract.command import (
    BlockSubject,
    DeletePrice,
    SetPolicy,
    SetPrice,
    SetToolPrice,
    UnblockSubject,
)


def test_a_block_that_would_end_before_it_begins_is_refused(
    api: TestClient, command_log: CommandList
) -> None:
    answer = api.post(
        "/v1/blocks",
        json={
            "subject": {"agent": "bot"},
            "reason": "runaway",
            "expires_at": "2026-03-10T13:30:00+01:00",
            "workspace": "acme",
        },
    )

    # 13:30 in that zone is the present moment: over.
    assert (answer.status_code, answer.json()["code"]) == (422, "expired")
    assert command_log.commands == []


def test_a_block_and_its_lifting(api: TestClient, command_log: CommandList) -> None:
    body = {"subject": {"agent": "bot"}, "reason": "runaway", "workspace": "acme"}
    blocked = api.post("/v1/blocks", json={**body, "expires_at": "2026-03-10T14:00:00Z"})
    lifted = api.post("/v1/blocks", json={**body, "action": "unblock"})

    block, unblock = command_log.commands
    assert isinstance(block, BlockSubject)
    assert (block.subject, block.reason, block.workspace) == ({"agent": "bot"}, "runaway", "acme")
    assert isinstance(unblock, UnblockSubject)
    assert unblock.subject == {"agent": "bot"}
    assert (blocked.status_code, blocked.json()["type"]) == (202, "block")
    assert (lifted.status_code, lifted.json()["type"]) == (202, "unblock")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"subject": {"agnt": "bot"}},
        {"subject": {"agent": ""}},
        {"subject": {}, "action": "pause"},
        {"subject": {}, "expires_at": "2026-03-10T14:00:00"},
        {"subject": {}, "action": "unblock", "expires_at": "2026-03-10T14:00:00Z"},
    ],
)
def test_a_block_that_is_none_is_refused(
    api: TestClient, command_log: CommandList, body: dict[str, object]
) -> None:
    answer = api.post("/v1/blocks", json=body)

    assert (answer.status_code, answer.json()["status"]) == (422, 422)
    assert command_log.commands == []


def test_prices_and_policies_are_commands(api: TestClient, command_log: CommandList) -> None:
    since = "2026-01-01T00:00:00Z"
    price = {"model": "m", "effective_from": since, "price": {"input": "1.5", "output": "6"}}
    answers = [
        api.post("/v1/prices", json={"price": price}),
        api.post("/v1/prices/delete", json={"model": "m"}),
        api.post(
            "/v1/tool-prices",
            json={"price": {"tool": "s", "effective_from": since, "usd_per_call": "0.02"}},
        ),
        api.post("/v1/policies", json={"policy": {"profile": "compat"}}),
    ]

    assert [answer.status_code for answer in answers] == [202, 202, 202, 202]
    assert [type(command) for command in command_log.commands] == [
        SetPrice,
        DeletePrice,
        SetToolPrice,
        SetPolicy,
    ]


def test_a_refusal_does_not_repeat_what_was_sent(api: TestClient) -> None:
    answer = api.post("/v1/blocks", json={"subject": {}, "prompt": "canary-8531"})

    assert answer.status_code == 422
    assert "canary-8531" not in answer.text

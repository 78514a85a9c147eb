"""Peers' own published tests, fetched and run against our names for theirs: what they still say.

Each that fails does so because what it asks for is a defect; it is in the table below, with the
reason, and in docs/moving.md. One that passes by now must leave the table.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from canned_providers import canned_providers
from peers import AGENTBUDGET, FRAMEWORKS, PRAMITI, ROOT, outcomes, unpacked

DEFECTS: Final = {
    "test_langchain_integration::TestCallbackLLMTracking"
    "::test_unknown_model_records_nothing_and_warns": (
        "wants a model without a price to cost nothing, so that no budget holds for it"
    ),
    "test_langchain_integration::TestCallbackLLMTracking"
    "::test_missing_usage_records_nothing_and_warns": (
        "wants a call whose model and usage nobody knows to cost nothing"
    ),
}
# What fails for the peer itself as well, in the place where we run it.
NOT_OURS: Final = {
    "test_langchain_integration::TestImportGuardUnchanged::test_still_raises_without_langchain": (
        "wants langchain-core not to be installed"
    ),
}
AGENTBUDGET_NAMES: Final = ("agentbudget", "tollway.compat.agentbudget")
PRAMITI_NAMES: Final = ("pramiti_agent_finops", "tollway.compat.pramiti")
HERE: Final = Path(sys.executable)


@pytest.fixture(scope="module")
def providers() -> Iterator[dict[str, str]]:
    """What sends the clients' calls to a local port."""
    with canned_providers() as address:
        yield {
            "OPENAI_API_KEY": "sk-local",
            "OPENAI_BASE_URL": f"{address}/v1",
            "ANTHROPIC_API_KEY": "sk-local",
            "ANTHROPIC_BASE_URL": address,
            "NO_PROXY": "127.0.0.1",
        }


def failed(seen: dict[str, str]) -> set[str]:
    return {name for name, outcome in seen.items() if outcome == "failed"}


def test_agentbudgets_tests_of_sessions_pass(tmp_path: Path) -> None:
    modules = (
        *("test_integration", "test_nested", "test_dropin"),
        # Beyond what docs/moving.md promises: those of the others that use public names only.
        *("test_exceptions", "test_integrations"),
    )

    seen = outcomes(HERE, unpacked(AGENTBUDGET), modules, AGENTBUDGET_NAMES, tmp_path, {})

    assert failed(seen) == set()
    assert list(seen.values()).count("passed") == 43


def test_agentbudgets_tests_of_langchain_pass_without_langchain(tmp_path: Path) -> None:
    modules = ("test_langchain_integration",)

    seen = outcomes(HERE, unpacked(AGENTBUDGET), modules, AGENTBUDGET_NAMES, tmp_path, {})

    assert failed(seen) == set(DEFECTS)
    assert list(seen.values()).count("passed") == 19


@pytest.mark.skipif(not FRAMEWORKS.exists(), reason="no frameworks here: make frameworks")
def test_agentbudgets_tests_pass_with_the_real_frameworks(
    providers: dict[str, str], tmp_path: Path
) -> None:
    modules = ("test_langchain_integration", "test_smoke", "test_integration", "test_nested")
    sources = unpacked(AGENTBUDGET)

    seen = outcomes(FRAMEWORKS, sources, modules, AGENTBUDGET_NAMES, tmp_path, providers)

    assert failed(seen) == {*DEFECTS, *NOT_OURS}
    # None of the live ones was left out for want of a key.
    assert "skipped" not in seen.values()


def test_pramitis_tests_pass(tmp_path: Path) -> None:
    modules = ("test_agent_finops_package", "test_action_budget_checker")

    seen = outcomes(HERE, unpacked(PRAMITI), modules, PRAMITI_NAMES, tmp_path, {})

    assert failed(seen) == set()
    assert list(seen.values()).count("passed") == 20


def test_what_fails_is_told_where_people_read_it() -> None:
    told = (ROOT / "docs" / "moving.md").read_text()

    assert [name for name in {**DEFECTS, **NOT_OURS} if name.split("::")[-1] not in told] == []

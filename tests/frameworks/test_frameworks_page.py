"""docs/frameworks.md says what the tests showed, and nothing else."""

import pytest

from frameworks_table import PAGE, Shown, page_with, unexplained


def test_what_a_framework_cannot_do_has_a_reason(shown: Shown) -> None:
    assert unexplained(shown) == []


def test_the_page_says_what_was_shown(shown: Shown, request: pytest.FixtureRequest) -> None:
    if request.config.getoption("--write-frameworks-table"):
        pytest.skip("the page is written at the end of this run")
    page = PAGE.read_text()
    assert page == page_with(shown, page), (
        "docs/frameworks.md is old: run tests/frameworks with --write-frameworks-table"
    )

"""What tests of prices share: the bundled catalogue."""

import pytest

from tollway.domain.prices import Catalogue


@pytest.fixture(scope="session")
def catalogue() -> Catalogue:
    return Catalogue.bundled()

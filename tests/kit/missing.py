"""What a test does where a program or a file that it needs is missing."""

from __future__ import annotations

from typing import NoReturn

import pytest


def missing(why: str, required: str | None) -> NoReturn:
    """Skip the test. `required`: the variable that makes a skip a failure, as it is set (MONEYER_REQUIRE_…); 1 does."""
    if required == "1":
        pytest.fail(why)
    pytest.skip(why)

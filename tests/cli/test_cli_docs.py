"""docs/cli.md is what the commands say of themselves."""

from __future__ import annotations

import pytest

from moneyer.node.cli.exits import MEANINGS
from tools.cli_docs import PAGE, page


@pytest.mark.schema
def test_the_page_of_the_command_line_is_made_from_the_commands() -> None:
    assert PAGE.read_text("utf-8") == page(), "run `make docs`"


def test_it_lists_every_exit_status_and_no_bound_that_nobody_would_write() -> None:
    text = page()
    for status, meaning in MEANINGS.items():
        assert f"| {status} | {meaning} |" in text
    assert "<=x" not in text
    assert "e-10" not in text

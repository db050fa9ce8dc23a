"""docs/contracts.md shows what the commands answer, from three people who share only files."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.contracts_walk import PAGE, walked

pytestmark = pytest.mark.timeout(240)


def test_the_page_shows_what_the_commands_answer(tmp_path: Path) -> None:
    text = PAGE.read_text("utf-8")
    assert walked(tmp_path, text) == text

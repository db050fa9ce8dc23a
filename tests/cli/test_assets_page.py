"""What docs/assets.md shows is what the commands print, on a real node."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY
from tests.kit.commands import moneyer
from tests.kit.mining.workers import mining
from tests.kit.running import own_coin, own_node

pytestmark = pytest.mark.timeout(180)

PAGE = REPOSITORY / "docs" / "assets.md"
CHANGING = [
    (r"\bbeach1[02-9ac-hj-np-z]{59}\b", "ADDRESS"),
    (r"\b[0-9a-f]{10,64}(…|\b)", "HASH"),
    (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "TIME"),
    (r"(in block +|TIME +)\d+", r"\1HEIGHT"),
    (r"waiting for a block …\n", ""),
    (r"nobody mines: .*\n", ""),
    (r" +", " "),
]


def steps() -> list[tuple[str, str]]:
    """Each command of the page, and what the page says that it prints."""
    block = PAGE.read_text("utf-8").partition("```console\n")[2].partition("```\n")[0]
    return [part.partition("\n")[::2] for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]]


def without_what_changes(text: str) -> str:
    for pattern, word in CHANGING:
        text = re.sub(pattern, word, text)
    return text


def test_the_way_of_an_asset_is_what_the_page_says(tmp_path: Path) -> None:
    data = tmp_path / "beach-coin"
    (tmp_path / "poster.png").write_bytes(b"a beach, some lanterns, Saturday at eight")
    with own_node(data, own_coin(name="Beach Coin", symbol="BEACH", hrp="beach", rules=2)), mining(data):
        for line, shown in steps():
            done = moneyer(*shlex.split(line)[1:], cwd=tmp_path, env={"MONEYER_DATA": str(data)})
            assert done.returncode == 0, (line, done.stderr)
            assert without_what_changes(done.stdout) == without_what_changes(shown), line

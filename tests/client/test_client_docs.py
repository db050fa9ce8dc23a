"""`docs/client.md`, typed as it stands beside a node that mines."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY
from tests.kit.commands import environment
from tests.kit.mining.workers import mining
from tests.kit.running import own_node
from tests.kit.waiting import wait_until

PAGE = (REPOSITORY / "docs" / "client.md").read_text("utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)

pytestmark = pytest.mark.timeout(300)


def test_every_block_of_the_page_runs(tmp_path: Path) -> None:
    assert len(BLOCKS) == 5 == PAGE.count("```python")
    with own_node(tmp_path / "data" / "node1") as node, mining(tmp_path / "data" / "node1", "continuous"):
        wait_until(lambda: node.get("/v1/status").json["height"] > 0, 60, "a block")
        ends = [f"print('block {number} ran')" for number in range(1, len(BLOCKS) + 1)]
        script = "\n".join(part for pair in zip(BLOCKS, ends, strict=True) for part in pair)
        done = subprocess.run(
            [sys.executable, "-c", script.replace("127.0.0.1:5001", f"127.0.0.1:{node.port}")],
            capture_output=True,
            text=True,
            timeout=240,
            cwd=tmp_path,
            env=environment(),
        )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert [line for line in lines if line.endswith(" ran")] == [f"block {number} ran" for number in range(1, 6)]
    assert "2500000 base units are 2.5 EASY" in lines
    assert any(re.fullmatch(r"in block \d+", line) for line in lines), done.stdout

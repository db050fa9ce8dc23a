"""What a node imports before its first answer: everybody who starts one waits for it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.kit.commands import environment

LATER = {
    *("alembic", "cryptography", "honcho", "llvmlite", "mnemonic", "requests", "rich", "slip10", "urllib3", "zeroconf"),
    "sqlalchemy.dialects.postgresql",
}
"""Each takes from 0.01 to 0.14 s of processor."""

SCRIPT = """
import sys
from pathlib import Path
from moneyer.node import server
from moneyer.node.api.app import build_app
from moneyer.node.cli import main
from moneyer.node.cli.commands import run
from moneyer.node.config import Config
from moneyer.node.devnet.devcoin import prepare_folder
from moneyer.node.service import Node

config = Config(data=Path(sys.argv[1]), development=True)
prepare_folder(config.data, None, development=True)
node = Node.open(config)
build_app(node)
node.close()
print(*sorted(name for name in sys.argv[2:] if name in sys.modules))
"""


def test_a_first_start_imports_nothing_that_its_first_answer_does_not_need(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path / "node"), *LATER],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        env=environment(),
    )
    assert done.stdout.split() == []

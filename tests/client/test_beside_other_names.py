"""A program of somebody's own imports `moneyer` in a folder where `node.py`, `worker/` and `migrations.py` lie.

These are the names of Moneyer's own parts, and names that a person gives to files easily. Python looks in the folder of
a script first, so an absolute import of one of them would run that person's file.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY
from tests.kit.commands import environment

OURS = ("moneyer", "node", "worker", "migrations")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of modules that end the program that imports them."""
    (tmp_path / "worker").mkdir()
    for file in ("node.py", "worker/__init__.py", "migrations.py"):
        (tmp_path / file).write_text("raise SystemExit(77)\n")
    return tmp_path


def run(folder: Path, text: str) -> subprocess.CompletedProcess[str]:
    """Run `text` as a script that lies in `folder`."""
    script = folder / "script.py"
    script.write_text(text)
    env = {name: value for name, value in environment().items() if not name.startswith("PYTHON")}
    order = [sys.executable, str(script)]
    return subprocess.run(order, cwd=folder, env=env, capture_output=True, text=True, timeout=60, check=False)


def test_the_files_there_would_end_a_program_that_imports_them(folder: Path) -> None:
    for name in ("node", "worker", "migrations"):
        assert run(folder, f"import {name}").returncode == 77


def test_a_program_makes_a_client_and_asks_it(folder: Path) -> None:
    done = run(
        folder,
        "from moneyer import Client, open_wallet, parse_amount\n"
        "from moneyer.errors import NoAnswer\n"
        "assert parse_amount('2.5', 6) == 2_500_000 and callable(open_wallet)\n"
        "client = Client('http://127.0.0.1:1')\n"
        "try:\n"
        "    client.status()\n"
        "except NoAnswer as error:\n"
        "    print(error.message)\n",
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "no node answers at http://127.0.0.1:1" in done.stdout


def test_a_program_opens_a_database_and_the_migrations_that_run_are_moneyers(folder: Path) -> None:
    done = run(
        folder,
        "from pathlib import Path\n"
        "from moneyer.node.config import Config\n"
        "from moneyer.node.devnet.devcoin import ensure_coin\n"
        "from moneyer.node.store import blocks\n"
        "from moneyer.node.store.engine import Store\n"
        "config = Config(data=Path('data'))\n"
        "store = Store.open(config, ensure_coin(config.coin_file))\n"
        "with store.read() as conn:\n"
        "    print('height', blocks.tip(conn).height)\n"
        "store.close()\n",
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "height 0\n"


def test_a_package_that_is_run_by_its_name_keeps_its_own_folder(tmp_path: Path) -> None:
    """`python -m shop`, whose `__init__` imports `moneyer` and whose `__main__` a module beside it."""
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "__init__.py").write_text("import moneyer\n")
    (tmp_path / "shop" / "__main__.py").write_text("import prices\n")
    (tmp_path / "prices.py").write_text("print('prices')\n")
    env = {name: value for name, value in environment().items() if not name.startswith("PYTHON")}
    for order in (["-m", "shop"], ["-mshop", "moneyer"], ["-X", "utf8", "-m", "shop", "-m", "moneyer"]):
        done = subprocess.run(
            [sys.executable, *order], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60, check=False
        )
        assert (done.stdout, done.stderr) == ("prices\n", "")


def absolute_imports(path: Path) -> Iterator[str]:
    """The imports of Moneyer's own names in a file that say no package to begin at."""
    for each in ast.walk(ast.parse(path.read_bytes())):
        names: list[str] = []
        if isinstance(each, ast.Import):
            names = [alias.name for alias in each.names]
        elif isinstance(each, ast.ImportFrom) and each.level == 0:
            names = [each.module or ""]
        elif isinstance(each, ast.Call) and ast.unparse(each.func).endswith(("import_module", "__import__")):
            names = [arg.value for arg in each.args[:1] if isinstance(arg, ast.Constant) and isinstance(arg.value, str)]
        for name in names:
            if name.partition(".")[0] in OURS:
                yield f"{path.relative_to(REPOSITORY)} {name}"


def test_the_search_for_absolute_imports_finds_them() -> None:
    file = REPOSITORY / "tests" / "client" / "test_node_client.py"
    assert any(" moneyer.node.client" in found for found in absolute_imports(file))


def test_no_module_of_moneyer_imports_another_one_by_an_absolute_name() -> None:
    files = [file for name in OURS for file in (REPOSITORY / name).rglob("*.py")]
    assert len(files) > 200
    assert [found for file in files for found in absolute_imports(file)] == []

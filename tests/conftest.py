"""Settings for the whole suite: how hypothesis searches, and where the vectors lie."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from moneyer.node.wallet import private_files, seal
from tests.kit import databases
from tests.kit.databases import _a_test_leaves_no_database, database, empty_databases, fresh_database
from tests.kit.missing import missing

__all__ = ["_a_test_leaves_no_database", "database", "empty_databases", "fresh_database"]

REPOSITORY = Path(__file__).resolve().parent.parent

# As in an activated environment, so that advice reads `moneyer …`; and no node of a test is registered.
os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
os.environ["MONEYER_STATE"] = "/dev/null"
os.environ["MONEYER_CACHE"] = str(REPOSITORY / ".pytest_cache" / "engines")
# Whoever started us may ignore Ctrl-C (a shell does so for what runs in its background), and children would inherit it.
signal.signal(signal.SIGINT, signal.default_int_handler)

SCRYPT_N = seal.SCRYPT_N
"""What sealing a wallet costs. Here, and in the processes that tests fork, it costs next to nothing instead."""
seal.SCRYPT_N = 2**10
# And who spends from one wallet waits for the others as long as that takes on a busy machine, in place of ten seconds.
private_files._PATIENCE = 120.0

# No deadline: the machine may be busy. CI must fail for the same reason twice, so it draws the same examples.
settings.register_profile("here", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", settings.get_profile("here"), derandomize=True, database=None)
settings.load_profile("ci" if os.environ.get("CI") else "here")


FIRST = ("lab", "net", "web", "worker", "p2p", "cli", "api", "client")
"""Folders whose files take long, for which several processes of tests begin with them: the last file is a short one."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    databases.choose(metafunc)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark what needs a server of others'. Among several processes, put the files of FIRST first.

    With `--no-loadscope-reorder`: it would sort them anew.
    """
    for item in items:
        if databases.needs_server(item):
            item.add_marker("servers")
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: FIRST.index(folder) if (folder := item.path.parent.name) in FIRST else len(FIRST))


def vector_file(name: str) -> Path:
    """A file of ../shared/vectors, or of the folder MONEYER_VECTORS.

    Skips the test where it is absent; fails it instead when MONEYER_REQUIRE_VECTORS=1.
    """
    path = Path(os.environ.get("MONEYER_VECTORS") or REPOSITORY.parent / "shared" / "vectors") / name
    if not path.is_file():
        why = f"{path} is absent; set MONEYER_VECTORS to the folder that has it"
        missing(why, os.environ.get("MONEYER_REQUIRE_VECTORS"))
    return path


@pytest.fixture(scope="session")
def vectors() -> dict[str, Any]:
    """moneyer.json of this repository, read once; do not change it."""
    loaded: dict[str, Any] = json.loads((REPOSITORY / "tests" / "vectors" / "moneyer.json").read_text("utf-8"))
    return loaded

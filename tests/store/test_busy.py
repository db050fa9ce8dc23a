"""Another process that stays in a transaction: reading goes on, writing says that it is busy."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path

import pytest

from moneyer.node.store import meta
from moneyer.node.store.backends.sqlite.driver import driver, has_safe_wal
from moneyer.node.store.engine import Store
from moneyer.node.store.errors import StoreBusy, StoreRefused
from tests.kit.chains import transfer
from tests.kit.damage import ALICE, BOB, CHAIN, made
from tests.kit.databases import node_config
from tests.kit.nodes import Node
from tests.kit.system.processes import Child, children
from tests.kit.waiting import wait_until
from tests.store.children import write_and_stay_inside

pytestmark = pytest.mark.both_databases

COIN = CHAIN.coin


@pytest.mark.skipif(not has_safe_wal, reason="with a rollback journal a writer in mid-commit holds readers up")
@pytest.mark.parametrize("ending", ["continued", "killed"])
def test_a_process_stopped_in_mid_transaction_leaves_reading_free_and_makes_writing_busy(
    tmp_path: Path, ending: str
) -> None:
    folder = made(tmp_path)
    node = Node(folder, COIN, busy_seconds=0.1)
    before = node.dump()
    next_one = transfer(COIN, ALICE, BOB, 5, 1, CHAIN.account(ALICE).sequence + 1)
    with children(Child(write_and_stay_inside, folder, COIN)) as (child,):
        assert child.hear() == "inside"
        os.kill(child.pid, signal.SIGSTOP)
        for _ in range(3):
            assert node.dump() == before
            with pytest.raises(StoreBusy):
                node.mempool.accept_transfer(next_one)
            with pytest.raises(StoreBusy):
                node.offer(CHAIN.next_block())
        # A node that starts meanwhile finds a sound file.
        Store.open(node_config(folder), COIN).close()
        if ending == "continued":
            os.kill(child.pid, signal.SIGCONT)
            child.tell("go on")
            assert child.hear() == "committed"
            assert node.mempool.accept_transfer(next_one).status == "ready"
        else:
            child.kill()

            def taken() -> str | None:
                with suppress(StoreBusy):  # a server finds out a moment later
                    return node.mempool.accept_transfer(next_one).status
                return None

            assert wait_until(taken, 30, "the killed process's transaction to end") == "ready"
        assert node.offer(CHAIN.next_block()).status == "extended"
    with node.store.read() as conn:
        assert meta.get(conn, "half") == (b"written" if ending == "continued" else None)
    node.store.close()


@pytest.mark.sqlite_only("the file is locked")
def test_a_new_folder_that_another_process_has_locked_for_long_is_refused_with_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from moneyer.node.store.backends.sqlite import engines

    monkeypatch.setattr(engines, "BUSY_SECONDS", 0.1)
    folder = made(tmp_path)
    other = driver.connect(str(folder / "chain.db"), isolation_level=None)
    other.execute("PRAGMA locking_mode=EXCLUSIVE")
    other.execute("BEGIN EXCLUSIVE")
    other.execute("UPDATE meta SET value = value")
    other.execute("COMMIT")
    with pytest.raises(StoreRefused, match="in use by another process"):
        Store.open(node_config(folder), COIN)
    other.close()
    Store.open(node_config(folder), COIN).close()

"""With a umask of 0 and a folder that is open to all: what a node's processes write is for its owner only."""

from __future__ import annotations

import os
from pathlib import Path

from moneyer.node.store.backends.sqlite.driver import has_safe_wal
from tests.kit.chains import key
from tests.kit.commands import asked, moneyer, open_to_others
from tests.kit.mining.stratum import Stratum
from tests.kit.mining.workers import mining
from tests.kit.running import PASSPHRASE, SECRET, own_node
from tests.kit.waiting import wait_until


def test_whatever_the_umask_no_file_of_a_data_folder_is_open_to_others(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    data.chmod(0o777)
    before = os.umask(0)
    try:
        with own_node(data, passphrase=PASSPHRASE) as node, mining(data):
            server = Stratum(data)
            try:
                server.wait_ready()
                address = key("carol").address(node.coin)
                assert moneyer("wallet", "contact", "carol", address, "--data", data).returncode == 0
                asked("wallet", "import", "dora", "--data", data, env=SECRET, typed=key("dora").secret.hex())
                asked("token", "--renew", "--data", data)
                asked("send", "alice", "carol", "1", "--data", data, env=SECRET)
                node.wait_for_height(1)
                wait_until(lambda: (data / "stratum.json").exists(), 20, "the server's status")
                assert moneyer("db", "backup", data / "copy.db", "--data", data).returncode == 0
                names = {path.name for path in data.iterdir()}
                wanted = {"wallet.json", "contacts.json", "api.token", "chain.db", "copy.db"}
                assert wanted | ({"chain.db-wal"} if has_safe_wal else set()) <= names
                assert open_to_others(data) == []
            finally:
                server.kill()
        assert open_to_others(data) == []
    finally:
        os.umask(before)

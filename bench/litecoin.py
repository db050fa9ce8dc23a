"""litecoind as a yardstick: Debian's package, on a private chain (`-regtest`) of its own, asked by JSON-RPC.

Nothing of it is in this repository; `bench/peers.md` tells how to get it.
"""

from __future__ import annotations

import base64
import http.client
import json
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.process import processor_of
from tests.kit.system.ports import free_port

_LOGIN = base64.b64encode(b"bench:bench").decode()
HEADERS = (f"Authorization: Basic {_LOGIN}",)
_MATURE = 101
"""Blocks until the first reward can be spent."""
_AT_ONCE = 1_000
"""Calls of one batch; outputs of one transaction that pays many."""
_PAID = 0.01
_FEE = 0.0001


def is_here() -> bool:
    return shutil.which("litecoind") is not None


def call(method: str, *params: object) -> dict[str, object]:
    """One JSON-RPC request."""
    return {"jsonrpc": "1.0", "id": 0, "method": method, "params": params}


class Litecoin:
    """One litecoind. `start_seconds`: from its start until it answered."""

    def __init__(self, data: Path, *options: str) -> None:
        self.port, self.p2p_port = free_port(), free_port()
        data.mkdir(exist_ok=True)
        own = ("-regtest", f"-datadir={data}", "-rpcuser=bench", "-rpcpassword=bench", f"-rpcport={self.port}")
        net: tuple[str, ...] = (
            f"-port={self.p2p_port}",
            f"-bind=127.0.0.1:{self.p2p_port}",
            "-listenonion=0",
            "-dnsseed=0",
        )
        more = ("-txindex=1", "-fallbackfee=0.001", "-printtoconsole=0", "-maxmempool=1000", "-rpcworkqueue=64")
        # Without its extension blocks, whose first one needs more than coinbases.
        net = (*net, "-vbparams=mweb:9999999998:9999999999")
        start = time.perf_counter()
        self._process = subprocess.Popen(["litecoind", *own, *net, *more, *options], stdout=subprocess.DEVNULL)
        while not self._answers():
            if self._process.poll() is not None:
                raise RuntimeError(f"litecoind has ended with {self._process.returncode}: see {data}/regtest/debug.log")
            time.sleep(0.005)
        self.start_seconds = time.perf_counter() - start

    def _answers(self) -> bool:
        try:
            self.ask("getblockcount")
        except (OSError, RuntimeError):
            return False
        return True

    def ask(self, method: str, *params: object) -> Any:
        """The result of one call. Raises RuntimeError with litecoind's own words."""
        return self._post(call(method, *params))

    def ask_many(self, calls: Sequence[dict[str, object]]) -> list[Any]:
        """Results in their order."""
        return [each for at in range(0, len(calls), _AT_ONCE) for each in self._post(calls[at : at + _AT_ONCE])]

    def _post(self, body: object) -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=300)
        try:
            connection.request("POST", "/", json.dumps(body), {"Authorization": f"Basic {_LOGIN}"})
            answer = json.loads(connection.getresponse().read())
        finally:
            connection.close()
        for each in answer if isinstance(answer, list) else [answer]:
            if each["error"] is not None:
                raise RuntimeError(str(each["error"]))
        return [each["result"] for each in answer] if isinstance(answer, list) else answer["result"]

    def processor(self) -> float:
        """Seconds of processor that it has spent so far."""
        return processor_of(self._process.pid)

    def mine(self, count: int) -> None:
        """`count` blocks, with what waits in the first."""
        self.ask("generatetoaddress", count, self.address)

    @property
    def address(self) -> str:
        if not hasattr(self, "_address"):
            self._address = str(self.ask("getnewaddress"))
        return self._address

    def become_rich(self) -> None:
        """A wallet with money that can be spent."""
        self.ask("createwallet", "bench")
        self.mine(_MATURE)

    def signed(self, count: int) -> list[str]:
        """As many signed transactions in hex, each with an input of its own, confirmed, and two outputs."""
        inputs = self._coins(count)
        # Not to the wallet itself: it would pay later ones with thousands of small inputs.
        to, back = (self.ask("decodescript", "0014" + byte * 20)["addresses"][0] for byte in ("11", "22"))
        outputs = {to: _PAID / 2, back: round(_PAID / 2 - _FEE, 8)}
        raws = self.ask_many([call("createrawtransaction", [each], outputs) for each in inputs])
        made = self.ask_many([call("signrawtransactionwithwallet", raw) for raw in raws])
        return [each["hex"] for each in made]

    def _coins(self, count: int) -> list[dict[str, object]]:
        """Outputs of `_PAID` in blocks."""
        coins: list[dict[str, object]] = []
        for first in range(0, count, _AT_ONCE):
            many = min(_AT_ONCE, count - first)
            addresses = self.ask_many([call("getnewaddress")] * many)
            txid = self.ask("sendmany", "", dict.fromkeys(addresses, _PAID))
            self.mine(1)
            outputs = self.ask("getrawtransaction", txid, True)["vout"]
            new = [{"txid": txid, "vout": each["n"]} for each in outputs if abs(each["value"] - _PAID) < _FEE / 2]
            self.ask("lockunspent", False, new)  # or the wallet pays the next ones with them
            coins += new
        return coins[:count]

    def connect(self, other: Litecoin) -> None:
        self.ask("addnode", f"127.0.0.1:{other.p2p_port}", "onetry")

    def wait_for(self, block_hash: str, seconds: float = 300) -> None:
        """Until this is its tip. Raises RuntimeError."""
        deadline = time.monotonic() + seconds
        while self.ask("getbestblockhash") != block_hash:
            if time.monotonic() > deadline:
                raise RuntimeError(f"litecoind is not in step after {seconds} s")
            time.sleep(0.0005)

    def end(self) -> None:
        self._process.terminate()
        self._process.wait(60)


@contextmanager
def litecoin(data: Path, *options: str) -> Iterator[Litecoin]:
    running = Litecoin(data, *options)
    try:
        yield running
    finally:
        running.end()

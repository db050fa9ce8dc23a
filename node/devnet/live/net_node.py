"""One node of a network, for programs: what it says of itself, and what can be done to it (`net["1"]`)."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...client.client import Amount, Client, Sent
from ...system.advice import typed
from ...system.words import joined, nearest, quoted
from ..holder import FolderToken, holder_of
from ..net.control import Control
from ..net.node_logs import log_path
from .errors import NodeDown, NotInTime, NotMined, UnknownNode
from .waits import wait_until

if TYPE_CHECKING:
    from ...wallet.keystore import Wallet
    from ..net.plan import PlannedNode

CONNECTED = "connected"
"""A peer's state, as the API has it."""
_MOST_LOG = 1_000_000
"""Bytes of a log that are read."""
_WORKER_SECONDS = 15.0
"""Until the network's worker, which starts after the nodes, has come to a node."""
_MINE_SECONDS = 120.0
"""For a job; a block of the development coin takes a tenth of a second."""


class NodeHandle:
    """A node by its name. `client` speaks to it; amounts are base units, as in the API's answers."""

    def __init__(self, planned: PlannedNode, data: Path, *, client: type[Client] = Client) -> None:
        self._planned = planned
        self._data = data
        self._kind = client
        self.name = planned.name
        self.folder: Path = planned.folder
        self.url = f"http://127.0.0.1:{planned.port}"

    def __repr__(self) -> str:
        return f"<node {self.name} at {self.url}>"

    @cached_property
    def client(self) -> Client:
        """The node's whole API. Its calls raise NoAnswer while the node does not run."""
        return self._kind(self.url, token=FolderToken(self.folder))

    # What it says

    @property
    def is_running(self) -> bool:
        """Whether a process has its folder and says where it listens."""
        return holder_of(self.folder) is not None

    def status(self) -> dict[str, Any]:
        """`GET /v1/status`."""
        return self.client.status()

    @property
    def height(self) -> int:
        return int(self.status()["height"])

    @property
    def tip(self) -> str:
        """The hash of the last block of its main chain."""
        return str(self.status()["tip"])

    @property
    def peers(self) -> list[str]:
        """The URLs of the nodes that it is linked with now."""
        return [peer["url"] for peer in self.client.peers() if peer["state"] == CONNECTED]

    def block(self, block: str | int) -> dict[str, Any]:
        """A block by hash or height."""
        return self.client.block(block)

    def balance(self, who: str) -> int:
        """Base units that a name of the node's wallet, or an address, has on its main chain."""
        return int(self.client.account(self.address(who))["balance"])

    def address(self, who: str) -> str:
        """The address of a name of the node's wallet (`alice`, `miner`); an address as it is. Raises UnknownNode."""
        payload = self._wallet.payload_of(who)
        coin = self.client.coin
        if payload is not None:
            return coin.address(payload)
        if who.startswith(f"{coin.hrp}1"):
            return who
        raise _unknown_name(who, list(self._wallet.names))

    @property
    def _wallet(self) -> Wallet:
        """Read anew: it is made at the node's first start, and names are added to it."""
        from ...wallet.keystore import WALLET_FILE, open_wallet

        return open_wallet(self.folder / WALLET_FILE)

    @property
    def log_path(self) -> Path:
        return log_path(self._data, self.name)

    def log(self, start: int = 0) -> str:
        """What it has printed, from a size of its log on (`printed`); of a long log the end."""
        return printed_since(self.log_path, start)

    # What is done to it

    def mine(self, blocks: int = 1, *, to: str | None = None, timeout: float = _MINE_SECONDS) -> list[str]:
        """Mine blocks at once; their hashes, oldest first. `to`: who gets the rewards, by name or address.

        The blocks are on this node when it returns; `Network.wait_one_tip` waits for the others. Raises NodeDown,
        NotMined where the job failed or took longer.
        """
        self._wait_for_worker()
        body: dict[str, Any] = {"blocks": blocks}
        if to is not None:
            body["address"] = self.address(to)
        job = self._ask("POST", "/v1/mine", body)
        wanted = f"{blocks} block{'' if blocks == 1 else 's'} of node {self.name}"
        done = wait_until(lambda: self._job_over(job["job"]), timeout, wanted)
        if done["state"] != "done":
            raise NotMined(
                f"node {self.name} mined {done['mined']} of {blocks} blocks: {done['message']}", mined=done["mined"]
            )
        return self._mined(done["last_hash"], blocks)

    def _wait_for_worker(self) -> None:
        """Raises NotMined where there is none."""
        what = f"a worker that mines for node {self.name}"
        try:
            wait_until(lambda: self._ask("GET", "/v1/mining", None)["worker"]["alive"], _WORKER_SECONDS, what)
        except NotInTime as error:
            raise NotMined(
                f"{error.message}: `moneyer net log worker` shows what it said, and `moneyer net start worker` starts "
                "one that has ended",
                mined=0,
            ) from None

    def _job_over(self, job: str) -> dict[str, Any] | None:
        found: dict[str, Any] = self.client.get(f"/v1/jobs/{job}")
        return found if found["state"] != "open" else None

    def _mined(self, last: str, count: int) -> list[str]:
        """The hashes of a job's blocks; blocks of others may stand between them."""
        found: list[str] = []
        block = self.client.block(last)
        miner = block["miner"]
        while block["height"] > 0:
            if block["miner"] == miner:
                found.append(block["hash"])
            if len(found) == count:
                break
            block = self.client.block(block["prev_hash"])
        return found[::-1]

    def send(self, sender: str, receiver: str, amount: Amount, *, fee: Amount | None = None, memo: str = "") -> Sent:
        """Sign with the key of `sender`, a name of this node's wallet, and hand the transfer to this node.

        `amount`: coins as text, `"2.5"`; a whole number is base units. Raises what `Client.send` raises.
        """
        self._check_running()
        wallet = self._wallet
        payload = wallet.payload_of(sender)
        if payload is None:
            raise _unknown_name(sender, list(wallet.names))
        return self.client.send(wallet.secret_for(payload), self.address(receiver), amount, fee=fee, memo=memo)

    def set_mode(self, mode: str) -> None:
        """When its worker mines: `demand`, `instant`, `continuous`, `interval:5`."""
        self._ask("POST", "/v1/mining", {"mode": mode})

    def start(self) -> None:
        """Start it again; it answers when this returns."""
        Control.find(self._data).start(self.name)

    def stop(self) -> None:
        """End it in order."""
        Control.find(self._data).stop(self.name)

    def kill(self) -> None:
        """End it as a power cut does (SIGKILL)."""
        Control.find(self._data).kill(self.name)

    def _ask(self, method: str, path: str, body: Any) -> Any:
        """Raises NodeDown where it does not run, NoAnswer, Refused."""
        self._check_running()
        return self.client.get(path) if method == "GET" else self.client.post(path, body)

    def _check_running(self) -> None:
        """Raises NodeDown, with the way to start it."""
        if not self.is_running:
            raise NodeDown(
                f"node {self.name} does not run: `moneyer net start {typed(self.name)}` starts it", node=self.name
            )


def _unknown_name(who: str, names: list[str]) -> UnknownNode:
    near = nearest(who, names)
    hint = f"did you mean {near}?" if near else f"it has {joined(names, 'and')}"
    return UnknownNode(f"the node's wallet has no {quoted(who)}: {hint}", nearest=near)


def printed(path: Path) -> int:
    """The size of a log, in bytes."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def printed_since(path: Path, start: int) -> str:
    """What a log has from a size on; at most its end."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            # A log that is shorter than it was has been begun anew.
            file.seek(max(start if start <= size else 0, size - _MOST_LOG))
            return file.read().decode("utf-8", "replace")
    except FileNotFoundError:
        return ""

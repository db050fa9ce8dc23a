"""One frozen Config for a node, and where its files lie."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

DEFAULT_PORT = 5001
DEFAULT_OUTBOUND = 8
"""Peers that a node keeps connected of its own accord."""
LOOPBACK = "127.0.0.1"
NODE_LOCK = "node.lock"
"""In its data folder: held by the node for as long as it lives."""
NETWORK_FILE = "network.json"
"""In the folder above the nodes' of a network that was made from a graph: its plan (`node.network_file`)."""
NETWORK_LOCK = "network.lock"
"""Beside it: held by the network's supervisor for as long as it lives; holds `{"pid", "socket"}`."""


DATABASE_VARIABLE = "MONEYER_NODE_DATABASE"
"""Environment: the server's database of a node, a worker or a Stratum server (`--database`)."""
READ_DATABASE_VARIABLE = "MONEYER_NODE_READ_DATABASE"
NO_DATABASE = {DATABASE_VARIABLE: "", READ_DATABASE_VARIABLE: ""}
"""Environment of a node that has a file of its own, whatever its parent's says."""
ROLES = ALL, API, PEER = "all", "api", "peer"
"""`api`: serves everybody, and speaks to no other nodes; `peer`: only speaks to them; `all`: both."""
NO_FOLDER = Path(os.devnull)
"""The data folder of a process that has none: its chain is in a server's database. No file can be below it."""


def has_plan(folder: Path) -> bool:
    """Whether a network was made from a graph in a folder."""
    return (folder / NETWORK_FILE).is_file()


@dataclass(frozen=True, slots=True)
class Config:
    """What a node was told at its start. Sizes in bytes, money in base units."""

    data: Path
    """The data folder: everything a node keeps."""
    host: str = LOOPBACK
    port: int = DEFAULT_PORT
    peers: tuple[str, ...] = ()
    announce: str | None = None
    """The URL at which other nodes reach this one, where that is not the address that it listens on."""
    outbound: int = DEFAULT_OUTBOUND
    """Peers that this node keeps connected of its own accord; `peers` are among them whatever their number."""
    discovery: bool = False
    """Find nodes of the same coin on the local network, and be found; only where `host` is beyond loopback."""
    manual: bool = False
    """Neither push nor pull by itself: a class watches what `replace_chain` does."""
    only_peers: bool = False
    """Links with `peers` and with those that its owner adds, and with no other; learns of none."""
    lab: bool = False
    """A node of an experiment: obeys the conditions of its links, and goes back to a snapshot when it is told."""
    development: bool = False
    """Wallet and mining open without a token; loopback only."""
    allow_hosts: tuple[str, ...] = ()
    trusted_proxies: tuple[str, ...] = ()
    """IP addresses and networks (CIDR) whose `X-Forwarded-For` says who calls."""
    min_fee: int = 1
    """Least fee of a transfer that this node takes into its mempool."""
    mempool_bytes: int = 32_000_000
    log_level: str = "info"
    """What is worth a line: debug, info, warning or error."""
    log_json: bool = False
    """Each line of the log a JSON object."""
    database_url: str | None = field(default=None, repr=False)
    """`postgresql://…`: the chain is there, and not in a file of the data folder. It may hold a password."""
    read_database_url: str | None = field(default=None, repr=False)
    """A replica of it, for reads."""
    unsafe_database: bool = False
    """Take a server that may lose what it has acknowledged."""
    role: str = ROLES[0]
    """What a node does of what a database's nodes do together: one of ROLES."""
    passphrase_file: Path | None = None
    """Key file of an encrypted wallet; without it the environment is looked at, and else the wallet stays locked."""

    @property
    def local_url(self) -> str:
        """Where programs on this machine reach the node."""
        host = {"0.0.0.0": LOOPBACK, "::": "::1"}.get(self.host, self.host)  # noqa: S104 - compared, not bound
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"

    @property
    def has_folder(self) -> bool:
        return self.data != NO_FOLDER

    @property
    def coin_file(self) -> Path:
        return self.data / "coin.toml"

    @property
    def database(self) -> Path:
        return self.data / "chain.db"

    @property
    def chain_marker(self) -> Path:
        """Says that this folder has had a chain: a database that is gone is then not made anew in silence."""
        return self.data / "chain.made"

    @property
    def wallet_file(self) -> Path:
        return self.data / "wallet.json"

    @property
    def token_file(self) -> Path:
        return self.data / "api.token"

    @property
    def links_file(self) -> Path:
        """The conditions of the links of a node of an experiment."""
        return self.data / "links.json"

    @property
    def node_lock(self) -> Path:
        """Held by the node for as long as it lives; holds its process id, local URL and where it listens, as JSON."""
        return self.data / NODE_LOCK

    @property
    def checked_lock(self) -> Path:
        """Held by the node from when it knows its database to be whole, for as long as it lives. Nobody else writes
        before."""
        return self.data / "checked.lock"

    @property
    def worker_lock(self) -> Path:
        """Held by the mining worker for as long as it lives; holds its status as JSON."""
        return self.data / "worker.lock"

    @property
    def stratum_lock(self) -> Path:
        """Held by the Stratum server for as long as it lives."""
        return self.data / "stratum.lock"

    @property
    def stratum_status(self) -> Path:
        """What the Stratum server says of itself and its miners, as JSON; replaced as a whole."""
        return self.data / "stratum.json"

    @property
    def bells(self) -> Path:
        """Folder of the FIFOs by which a node's processes wake each other after a commit."""
        return self.data / "bells"

"""`moneyer node`, `moneyer worker` and `moneyer stratum`: the processes of a node. honcho and systemd start these too.

The options of each are written here and nowhere else: `python -m moneyer.worker` comes here too.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ....worker.config import ENGINES, MAX_NICE, MAX_PROCESSES, ON_BATTERY
from ...config import ALL, DEFAULT_OUTBOUND, DEFAULT_PORT, LOOPBACK, READ_DATABASE_VARIABLE, ROLES
from ...system.network import is_loopback, proxy_network
from ..options import (
    FILE,
    FOLDER,
    PORT,
    FloatRange,
    IntRange,
    data_folder,
    database,
    folder_or_none,
    log_json,
    log_level,
    no_discovery,
    option,
    passphrase_file,
    server_url,
    unsafe_database,
    usage,
)

if TYPE_CHECKING:
    from ...config import Config


@click.command()
@option(
    "--data",
    type=FOLDER,
    envvar="MONEYER_DATA",
    metavar="DIR",
    help="The data folder; made where there is none.  [default: this folder, where it holds a coin]",
)
@option("--coin", type=FILE, metavar="FILE", help="The coin of a new data folder.")
@option("--port", type=PORT, default=DEFAULT_PORT, show_default=True)
@option("--host", default=LOOPBACK, show_default=True, metavar="H", help="The address to listen on.")
@option("--peer", multiple=True, metavar="URL", help="A node to know; may be given more than once.")
@option("--announce", metavar="URL", help="Where other nodes reach this one, if not where it listens.")
@option(
    "--outbound", type=IntRange(0, 64), default=DEFAULT_OUTBOUND, show_default=True, help="Peers to keep connected."
)
@no_discovery
@option("--manual", is_flag=True, help="Neither push nor pull blocks unless told (/replace_chain).")
@option("--only-peers", is_flag=True, help="Link with the nodes of --peer alone, and learn of no others.")
@option("--lab", is_flag=True, help="A node of an experiment: obeys link conditions, goes back to snapshots.")
@option("--dev", is_flag=True, help="A development network: wallet and mining open, loopback only.")
@option("--allow-host", multiple=True, metavar="H", help="A host name that the node answers to; may be repeated.")
@option(
    "--trusted-proxy",
    multiple=True,
    metavar="ADDRESS",
    help="A proxy (IP or CIDR) whose X-Forwarded-For says who calls; may be repeated.",
)
@database
@option(
    "--read-database",
    metavar="URL",
    envvar=READ_DATABASE_VARIABLE,
    callback=server_url,
    help="A streaming replica of it, for reads.",
)
@unsafe_database
@option(
    "--role",
    type=click.Choice(ROLES),
    default=ALL,
    show_default=True,
    help="With --database: api serves everybody and speaks to no other nodes; peer only speaks to them.",
)
@passphrase_file
@log_level
@log_json
def node(data: Path | None, coin: Path | None, database: str | None, **given: Any) -> None:
    """Run one node.

    \b
    moneyer node --data ~/beach --coin beach.toml
    moneyer node --data ~/beach --peer http://192.168.1.20:5001
    moneyer node --data data/node1 --dev          a development coin, made once
    moneyer node --data ~/beach --database postgresql://moneyer@db.example/beach
    """
    from ...system.lifecycle import watch_launcher, without_collecting

    watch_launcher()
    with without_collecting():
        from ...devnet.addresses import join_line
        from ...devnet.coinfiles import read_coin
        from ...devnet.devcoin import prepare_folder
        from ...devnet.running import register
        from ...server import serve
    config = _config(data or _this_folder(), database_url=database, **given)
    _check_reach(config)
    _check_database(config)
    if coin is None and config.database_url is not None:
        _take_coin(config)
    prepare_folder(config.data, coin, development=config.development)
    if not config.coin_file.exists():
        raise click.ClickException(
            f"{config.data} has no coin yet{'' if config.database_url is None else ', nor has the database'}: name one "
            "with --coin FILE, or take the development coin with --dev"
        )
    read_coin(config.coin_file)  # what is wrong with it should be said here, and once
    line = join_line(config.host, config.port)
    if line is not None and not config.log_json:
        click.echo(f"to join from another machine:  {line}")
    register(config.data)
    serve(config)


def _config(
    data: Path,
    *,
    peer: tuple[str, ...],
    allow_host: tuple[str, ...],
    trusted_proxy: tuple[str, ...],
    read_database: str | None,
    dev: bool,
    no_discovery: bool,
    **given: Any,
) -> Config:
    """The node's configuration. `given`: options that are called as the fields of Config are."""
    from ...config import Config

    return Config(
        data=data,
        peers=peer,
        allow_hosts=allow_host,
        trusted_proxies=trusted_proxy,
        read_database_url=read_database,
        development=dev,
        min_fee=0 if dev else 1,
        discovery=not no_discovery and not given["only_peers"],
        **given,
    )


def _this_folder() -> Path:
    """The current folder: a node is started nowhere else unless told. Raises UsageError where it holds no coin."""
    here = Path.cwd()
    if not (here / "coin.toml").is_file():
        raise click.UsageError(
            "say which data folder with --data DIR: this one holds no coin.toml (`moneyer up` runs a whole network)"
        )
    return here


def _check_database(config: Config) -> None:
    """Raises UsageError for what only a file can do, or only a server."""
    if config.database_url is None:
        if config.read_database_url is not None:
            raise click.UsageError(
                "--read-database is for the replica of a server's database: name that with --database"
            )
        if config.role != ALL:
            raise click.UsageError(
                f"--role {config.role} is for several nodes on one database: name that with --database (a file is for "
                "one node, which does all)"
            )
    elif config.lab:
        raise click.UsageError("--lab goes back to snapshots, which are files: it cannot go with --database")


def _take_coin(config: Config) -> None:
    """Write the coin of a server's database into a data folder that has none. Raises StoreRefused, BadCoin."""
    from ...devnet.coinfiles import make_once
    from ...store.opening.open_database import find_coin

    found = None if config.coin_file.exists() else find_coin(config)
    if found is not None:
        make_once(config.coin_file, lambda: found)


def _check_reach(config: Config) -> None:
    """Raises UsageError: only this machine may reach a development node, whose money every caller can spend; and
    proxies that are believed have addresses."""
    for proxy in config.trusted_proxies:
        try:
            proxy_network(proxy)
        except ValueError as error:
            raise click.UsageError(f"--trusted-proxy: {error}") from None
    if config.development and config.trusted_proxies:
        raise click.UsageError("--dev opens the wallet to whoever reaches the node: it cannot go with --trusted-proxy")
    if config.development and not is_loopback(config.host):
        raise click.UsageError(
            f"--dev opens the wallet to whoever reaches the node: it cannot go with --host {config.host}"
        )


@click.command()
@data_folder
@option(
    "--engine",
    metavar="E",
    default="auto",
    show_default=True,
    help=f"What hashes: auto is the fastest of {', '.join(ENGINES)}.",
)
@option("--processes", type=IntRange(1, MAX_PROCESSES), default=1, show_default=True, help="Hashing processes.")
@option("--address", metavar="A", help="Who gets the rewards.  [default: the node's own miner account]")
@option(
    "--mode",
    metavar="M",
    help="demand: mines what is asked for; instant: as soon as a transfer is ready; interval:SECONDS; continuous.  "
    "[default: as `moneyer mining` set it, else demand]",
)
@option("--nice", type=IntRange(0, MAX_NICE), default=0, show_default=True, help="Of the hashing processes.")
@option("--limit", default="100%", show_default=True, metavar="SHARE", help="Hash for this share of the time only.")
@option(
    "--on-battery",
    type=click.Choice(ON_BATTERY),
    default="half",
    show_default=True,
    help="How much a laptop hashes while it runs on battery; stop: only what is asked for.",
)
@option("--keep", is_flag=True, help="Start it again when it is killed, for as long as its node runs.")
@database
@unsafe_database
@log_level
@log_json
def worker(data: Path | None, database: str | None, limit: str, *, keep: bool, **given: Any) -> int:
    """Run the mining worker of a node on this machine.

    With --database, of a server's database on any machine.

    \b
    moneyer worker --data ~/beach --mode continuous
    moneyer worker --data ~/beach --mode interval:5
    moneyer worker --data ~/beach --mode continuous --nice 10 --limit 50%
    moneyer worker --database postgresql://moneyer@db/beach --address beach1…
    """
    from ...system.lifecycle import watch_launcher, without_collecting

    watch_launcher()
    from ....worker.config import WorkerConfig, parse_limit

    share = usage(parse_limit, limit)
    _check_mode_and_engine(given["mode"], given["engine"])
    config = WorkerConfig(data=folder_or_none(data, database), database_url=database, limit=share, **given)
    if keep:
        from ....worker.keeper import Keeper

        return Keeper(config).run()
    with without_collecting():
        from ....worker.supervisor import run
    return run(config)


def _check_mode_and_engine(mode: str | None, engine: str) -> None:
    """Raises UsageError, before a folder is looked for."""
    from ...store.mining import parse_mode
    from ...system.words import joined, quoted

    if mode is not None:
        usage(parse_mode, mode)
    if engine not in ("auto", *ENGINES):
        raise click.UsageError(f"there is no engine {quoted(engine)}: take auto, {joined(ENGINES)}")


@click.command()
@data_folder
@option("--port", type=PORT, default=3333, show_default=True)
@option("--host", default=LOOPBACK, show_default=True, metavar="H", help="The address to listen on.")
@option(
    "--difficulty",
    type=FloatRange(2.0**-32, 1e15),
    default=0.01,
    show_default=True,
    help="Of a miner's first shares; it fits itself to each miner then.",
)
@option("--max-connections", type=IntRange(1, 50_000), default=1_000, show_default=True)
@option("--with-node", is_flag=True, help="End when the node ends, instead of waiting for it to come back.")
@database
@unsafe_database
@log_level
@log_json
def stratum(data: Path | None, database: str | None, **given: Any) -> int:
    """Let SHA-256d miners mine for a node (Stratum v1).

    A miner's user name is who gets the coins: an address or a name of the node's wallet, with .NAME behind it or not.

    \b
    moneyer stratum --data ~/beach
    moneyer stratum --data ~/beach --host 0.0.0.0     for other machines, too
    """
    from ...system.lifecycle import watch_launcher

    watch_launcher()
    from ....worker.stratum.start import run
    from ....worker.stratum.stratum_server import StratumConfig

    return run(StratumConfig(data=folder_or_none(data, database), database_url=database, **given))

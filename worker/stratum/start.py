"""The Stratum server as a process: it waits for the node, takes the lock, says how it goes, and ends in time."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import signal
import sys
import threading
from errno import EMFILE, ENFILE
from time import monotonic
from typing import Any

from ...node.core.coin import Coin
from ...node.core.errors import BadCoin, MoneyerError
from ...node.store.backends.presence import STRATUM, Presence
from ...node.store.engine import load_coin
from ...node.store.errors import StoreRefused
from ...node.store.opening.made import check_not_moved
from ...node.store.opening.open_database import backend_of
from ...node.system import logs
from ...node.system.lifecycle import watch_parent
from ...node.system.locks import Held, is_held
from ..reports import Sparing, shown_rate
from ..startup import NODE_SECONDS, SERVER_POLL, NodeWait, ServerWait, allow_files, need_descriptors
from .stratum_server import StratumConfig, StratumServer, later

log = logging.getLogger("moneyer.stratum")

_DESCRIPTORS = 32
"""File descriptors for event loop, locks, database and status file; each miner takes one more."""
_POLL = 0.1
"""Seconds between two looks for the node."""
_STATUS_SECONDS = 2.0
"""Seconds between two writes of the status."""
_LINE_SECONDS = 10.0
"""Seconds between two lines of the log about the miners, on a terminal."""
_QUIET_LINE_SECONDS = 300.0
"""The same where no terminal is."""
_END_SECONDS = 1.6
"""An orderly end that takes longer is cut short, as in `worker.supervisor`."""


class StratumRefused(MoneyerError):
    """The server cannot run; the message says why."""

    code = "stratum_refused"


def run(config: StratumConfig) -> int:
    """Serve miners until SIGTERM, or until the parent process is gone. Gives the exit status.

    0: ended as asked. 1: refused, with a sentence on stderr.
    """
    if not logging.getLogger().handlers and not log.handlers:
        logs.configure(config.log_level, config.log_json)
    try:
        need_descriptors(_DESCRIPTORS, "the stratum server", StratumRefused)
        watch_parent()
        asyncio.run(_main(config))
    except MoneyerError as error:
        print(f"stratum: {error.message}", file=sys.stderr, flush=True)
        return 1
    return 0


async def _main(config: StratumConfig) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    check_not_moved(config.config, "stratum")
    coin = await _coin_of_server(config, stopped) if config.database_url else None
    if config.database_url is None and not await node_is_up(config, stopped):
        return
    if stopped.is_set():
        return
    try:
        coin = coin or load_coin(config.config)
        presence = backend_of(config.config).hold(STRATUM, tries=10)
    except (StoreRefused, BadCoin):
        raise
    except Held:
        raise StratumRefused(
            f"{config.data} has a stratum server already: any number of miners connect to it"
        ) from None
    except OSError as error:
        raise StratumRefused(f"{config.data} cannot be used: {error.strerror}") from None
    try:
        await _serve(config, StratumServer(config, coin), presence, stopped)
    finally:
        with contextlib.suppress(OSError):
            presence.release()


async def _coin_of_server(config: StratumConfig, stopped: asyncio.Event) -> Coin | None:
    """The coin of a server's database, which is waited for; None when this process shall end first."""
    wait = ServerWait(log)
    backend_of(config.config)  # a URL that is none is refused at once
    while not stopped.is_set():
        try:
            return await asyncio.to_thread(load_coin, config.config)
        except StoreRefused as error:
            wait.failed(error)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stopped.wait(), SERVER_POLL)
    return None


async def node_is_up(config: StratumConfig, stopped: asyncio.Event, seconds: float = NODE_SECONDS) -> bool:
    """Wait for the node of the data folder; False when this process shall end first. Raises StratumRefused."""

    def is_up() -> bool:
        return is_held(config.config.node_lock) and config.config.coin_file.exists()

    wait = NodeWait(config.data, is_up, log, StratumRefused, seconds)
    while not wait.is_over():
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stopped.wait(), _POLL)
            return False
    return True


async def _serve(config: StratumConfig, server: StratumServer, presence: Presence, stopped: asyncio.Event) -> None:
    allow_files(config.max_connections + 100)
    loop = asyncio.get_running_loop()
    crowded = Sparing(log, level=logging.WARNING)
    loop.set_exception_handler(lambda loop, context: _on_trouble(loop, context, crowded))
    try:
        listener = await server.listen()
    except OSError as error:
        raise StratumRefused(_refusal(config, error)) from None
    host = f"[{config.host}]" if ":" in config.host else config.host
    user = "a payout address or a wallet name" if config.config.has_folder else "a payout address"
    log.info("miners connect to stratum+tcp://%s:%d, user: %s", host, config.port, user)
    threading.Thread(target=server.link.run, args=(lambda: later(loop, stopped.set),), name="link", daemon=True).start()
    tasks = [loop.create_task(server.tend()), loop.create_task(_tell(server, presence))]
    try:
        await stopped.wait()
    finally:
        _end_at_the_latest()
        for task in tasks:
            task.cancel()
        listener.close()
        server.close()
        server.link.stop()


def _on_trouble(loop: asyncio.AbstractEventLoop, context: dict[str, Any], crowded: Sparing) -> None:
    """Handle errors outside of any task: where no descriptor is left for another miner, one line a minute."""
    error = context.get("exception")
    if isinstance(error, OSError) and error.errno in (EMFILE, ENFILE):
        crowded.say("no file descriptor is left for another miner: raise the limit with `ulimit -n`", monotonic())
    else:
        loop.default_exception_handler(context)


def _end_at_the_latest() -> None:
    """End this process soon, whatever is stuck (the database, say): a write not committed is no write."""
    timer = threading.Timer(_END_SECONDS, os._exit, (0,))
    timer.daemon = True
    timer.start()


def _refusal(config: StratumConfig, error: OSError) -> str:
    if isinstance(error, PermissionError):
        return f"port {config.port} needs rights that this user lacks: give a --port from 1024 up"
    if error.errno in (98, 48):  # EADDRINUSE on Linux and macOS
        return f"port {config.port} is taken: stop what listens there, or give another --port"
    return f"{config.host} is no address of this machine: give --host an IP address of it"


async def _tell(server: StratumServer, presence: Presence) -> None:
    """Say how it goes: for the API and, now and then, in a line of the log."""
    every = _LINE_SECONDS if sys.stderr.isatty() else _QUIET_LINE_SECONDS
    said_at, said = monotonic(), (0, 0)
    while True:
        await asyncio.sleep(_STATUS_SECONDS)
        summary = server.summary()
        with contextlib.suppress(OSError):  # a full disk: miners mine on
            presence.say(json.dumps(summary).encode())
        counted = (summary["accepted"], summary["rejected"])
        if monotonic() - said_at >= every and counted != said:
            said_at, said = monotonic(), counted
            log.info("%s", line(summary))


def line(summary: dict[str, Any]) -> str:
    """The summary as a line for a person."""
    miners, shares, blocks = (
        f"{summary[key]} {what}{'' if summary[key] == 1 else 's'}"
        for key, what in (("connections", "miner"), ("accepted", "share"), ("blocks", "block"))
    )
    return (
        f"{miners}, {shown_rate(summary['hashrate'])}, {shares} "
        f"({summary['rejected']} refused, {summary['stale']} of them stale), {blocks}"
    )

"""A node as processes: granian's main process, and one that runs the application."""

from __future__ import annotations

import errno
import json
import logging
import multiprocessing
import os
import resource
import secrets
import signal
import socket
import sys
import threading
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Final

from granian._granian import SocketHolder
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.server import MPServer

from .api.http.guard import is_open
from .config import ALL, Config
from .core.errors import MoneyerError
from .store.backends.sqlite.driver import fold_log
from .system import locks, logs
from .system.advice import typed
from .system.forking import CONTEXT
from .system.lifecycle import (
    THE_REASON_IS_ABOVE,
    end_this_process,
    import_nothing_from_here,
    on_stop,
    watch_parent,
    without_collecting,
)
from .system.network import is_loopback, proxy_network
from .system.shares import CONNECTIONS
from .system.text import shown
from .system.words import of_system

if TYPE_CHECKING:
    from .api.app import App
    from .service import Node
    from .wallet.keystore import Wallet

THREADS: Final = 1_300
"""Requests that are worked on at once; most of them wait (for their turn, a block, a commit, a peer, their client) and
cost next to nothing. As many as there are places and as two addresses may have connections, and some more. Not many
more: threads that all want the interpreter hinder each other. They are made as they are needed, and go when they have
had nothing to do for a while: `docs/performance.md`."""
HEADER_MILLISECONDS: Final = 5_000
STOP_SECONDS: Final = 2
"""After SIGTERM, for requests that are under way; what is acknowledged is on disk already."""
log = logging.getLogger("moneyer.node")

_FILES: Final = 8_192
_MOST_CONNECTIONS: Final = 2 * CONNECTIONS.total
"""The server takes no more at once: more than there are places, since too many of an address are seen a bit later."""
_BACKLOG: Final = 4_096
_LOCK_TRIES: Final = 60  # three seconds, for a predecessor that is just dying
_GRACE: Final = 0.7
_REFUSED: Final = 3


class NodeRefused(MoneyerError):
    """The node does not start; the message says why, and what to do."""

    code = "node_refused"


def serve(config: Config) -> None:
    """Run a node until it is told to end. Raises NodeRefused; SystemExit(1) where the node ended by itself."""
    logs.configure(config.log_level, config.log_json)
    import_nothing_from_here()
    check_config(config)
    try:
        lock = locks.hold(config.node_lock, tries=_LOCK_TRIES)
    except locks.Held:
        raise NodeRefused(f"another node runs on {config.data}: stop it, or give another --data folder") from None
    except OSError as error:
        raise NodeRefused(f"the data folder {config.data} cannot be used: {error.strerror}") from None
    try:
        with suppress(OSError):
            lock.write(b"")  # what the last holder said of itself is not true of this one
        with take_port(config.host, config.port) as listener:
            with suppress(OSError):  # a full disk: then programs have to be told the URL
                lock.write(json.dumps(_about(config, listener)).encode())
            _run(config, listener)
            if config.database_url is None:
                fold_log(config.database)
    finally:
        lock.release()


def _about(config: Config, listener: socket.socket) -> dict[str, object]:
    """What a held lock says of the node. Programs show the folder's token only to the listener that wrote it.

    `start` is another one at each start, so that no later holder can be taken for this one.
    """
    host, port = listener.getsockname()[:2]
    return {"pid": os.getpid(), "url": config.local_url, "host": host, "port": port, "start": secrets.token_hex(8)}


def check_config(config: Config) -> None:
    """Raises NodeRefused for what must not be."""
    if config.development and not is_loopback(config.host):
        raise NodeRefused(
            "a development network leaves its wallet open to every caller: it binds loopback only "
            "(leave out --dev, or --host)"
        )
    if config.development and config.trusted_proxies:
        raise NodeRefused(
            "a development network leaves its wallet open to every caller: no proxy may let others in "
            "(leave out --dev, or --trusted-proxy)"
        )
    for proxy in config.trusted_proxies:
        try:
            proxy_network(proxy)
        except ValueError as error:
            raise NodeRefused(f"--trusted-proxy: {error}") from None
    if config.announce is not None:
        from .p2p.peer.errors import BadUrl
        from .p2p.peer.urls import parse_peer_url

        try:
            parse_peer_url(config.announce)
        except BadUrl as error:
            raise NodeRefused(f"--announce {config.announce[:100]}: {error.message}") from None


def take_port(host: str, port: int) -> socket.socket:
    """A socket that listens there, and that shares its port with none. Raises NodeRefused where it is taken."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except OSError:
        raise NodeRefused(f"{host} is no address of this machine: give --host an IP address") from None
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a port in TIME_WAIT is free
        listener.bind(address)
        listener.listen(_BACKLOG)
        listener.setblocking(False)
    except PermissionError:
        listener.close()
        raise NodeRefused(f"port {port} needs rights that this user lacks: give a --port from 1024 up") from None
    except OSError as error:
        listener.close()
        raise NodeRefused(_taken(host, port, error)) from None
    return listener


def _taken(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRNOTAVAIL:
        return f"{host} is no address of this machine: give --host an IP address of it"
    return f"port {port} is taken: stop what listens there, or give another --port"


class _OnePort(MPServer):
    """granian on a socket that is bound already. Its own it binds with SO_REUSEPORT, on Linux in each worker: then two
    nodes that start in the same instant would both get the port, and take turns in answering."""

    def __init__(self, config: Config, listener: socket.socket) -> None:
        super().__init__(
            __name__,
            address=config.host,
            port=config.port,
            interface=Interfaces.WSGI,
            workers=1,
            blocking_threads=THREADS,
            backpressure=_MOST_CONNECTIONS,
            http=HTTPModes.http1,
            http1_settings=HTTP1Settings(header_read_timeout=HEADER_MILLISECONDS),
            websockets=False,
            log_enabled=False,
            workers_kill_timeout=STOP_SECONDS,
        )
        self._listener = listener
        self.ended_with: int | None = None
        """The exit status of the serving process, where it ended by itself (negative: a signal's number)."""

    def _stop_workers(self) -> None:
        self.ended_with = next((worker.inner.exitcode for worker in self.wrks), None)
        super()._stop_workers()  # type: ignore[no-untyped-call]

    def _init_shared_socket(self) -> None:
        self._listener.set_inheritable(True)
        number = self._listener.fileno()
        # granian's own fields, whose type it takes from their first value, None; and its stub knows no __new__.
        self._ssp, self._sso, self._sfd = None, self._listener, number  # type: ignore[assignment]
        self._shd = SocketHolder(number, False, _BACKLOG)  # type: ignore[assignment, call-arg]


def _run(config: Config, listener: socket.socket) -> None:
    server = _OnePort(config, listener)
    # A closed terminal ends the node; granian would start a second process instead.
    server.on_startup(lambda: signal.signal(signal.SIGHUP, server.signal_handler_interrupt))
    watch_parent(_end_soon)
    # Python 3.14 has another default on Linux, which granian does not take for a shared socket: it would import anew.
    multiprocessing.set_start_method(CONTEXT.get_start_method(), force=True)
    try:
        server.serve(target_loader=partial(load_app, config, os.getpid()), wrap_loader=False)
    except SystemExit:
        if not server.interrupt_signal:
            if server.ended_with is not None and server.ended_with < 0:  # the system's doing: it could log nothing
                log.error("the process that answers was killed (%s)", signal.Signals(-server.ended_with).name)
            log.error(THE_REASON_IS_ABOVE)
            raise


def _end_soon() -> None:
    """The launcher is dead: end as on SIGTERM, but wait for nobody."""
    end_this_process()
    log.warning(
        "the node ends, since the process that started it has ended (to keep one, start it from systemd or tmux)"
    )
    threading.Event().wait(_GRACE)
    os._exit(1)


def load_app(config: Config, main: int) -> App:
    """In the serving process: the node put together, and its application. Ends the process where that cannot be."""
    watch_parent(partial(os._exit, 1), parent=main)
    logs.configure(config.log_level, config.log_json)
    with without_collecting():
        # Here, not above: the main process stays small without it.
        from .web.site import build_site

        node = _open(config)
        app = build_site(node)
    if config.database_url is None:
        _tell_when_whole(node, config)
        _warn_of_sqlite()
    _allow_files()
    _forget_what_poses_as_a_header()
    app.parts.start()

    def stop() -> None:
        app.parts.stop()
        node.stop()

    on_stop(stop)
    _show_sync(node, config)
    node.start()
    began = start_line(config, node.coin.name, node.coin.symbol, node.coin.chain_id, _height(node))
    if config.log_json:
        log.info("%s", began)
    else:
        print(began, flush=True)
    _warn_of_open_wallet(node.wallet, config)
    return app


def _open(config: Config) -> Node:
    """The node of a data folder. Where it can't be opened, the process ends with a line that says why."""
    from .service import Node

    try:
        return Node.open(config, on_damage=_refuse)
    except MoneyerError as error:
        _refuse(error)
    except OSError as error:
        log.error("%s cannot be used: %s", config.data, of_system(error))
    os._exit(_REFUSED)


def _refuse(error: MoneyerError) -> None:
    """End the process, whatever it does, with a line that says why."""
    log.error("%s", error.message)
    os._exit(_REFUSED)


def _tell_when_whole(node: Node, config: Config) -> None:
    """Once the database is known to be whole, tell the folder's other processes, by a lock that they look at."""

    def tell() -> None:
        try:
            node.store.wait_whole()
            locks.hold(config.checked_lock, tries=_LOCK_TRIES)
        except MoneyerError as error:  # the node is stopping, or a predecessor does not end
            log.info("no worker is told that the database is whole: %s", error.message)
        except OSError as error:
            log.error("no worker of this folder begins: %s cannot be used: %s", config.checked_lock, of_system(error))

    threading.Thread(target=tell, name="tell-whole", daemon=True).start()


def _warn_of_open_wallet(wallet: Wallet, config: Config) -> None:
    if not wallet.development and not wallet.encrypted:
        log.warning(
            "the wallet %s is open: whoever can read that file can spend. `moneyer wallet passphrase --data %s` "
            "encrypts it",
            config.wallet_file,
            typed(config.data),
        )


def _forget_what_poses_as_a_header() -> None:
    """granian lays each request over this process's environment, in which HTTP_HOST would be a header nobody sent."""
    for name in [name for name in os.environ if name.startswith(("HTTP_", "CONTENT_"))]:
        del os.environ[name]


def _allow_files() -> None:
    """As many open files as so many clients need: some systems begin with 256."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _FILES if hard == resource.RLIM_INFINITY else min(_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(ValueError, OSError):  # as it was, then
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _warn_of_sqlite() -> None:
    from .store.backends.sqlite.driver import warning

    if (slower := warning()) is not None:
        log.warning("%s", slower)


def _show_sync(node: Node, config: Config) -> None:
    from .api.sync_console import SyncShow

    SyncShow(node.sync.meter, bar=sys.stderr.isatty() and not config.log_json).start()


def _height(node: Node) -> int:
    from .store import blocks

    with node.store.read() as conn:
        return blocks.tip(conn).height


def start_line(config: Config, name: str, symbol: str, chain_id: bytes, height: int) -> str:
    """What a node says when it begins: one line."""
    from .core.codec import show

    host = f"[{config.host}]" if ":" in config.host else config.host
    access = "open (development)" if is_open(config) else f"token in {config.token_file}"
    if config.lab:
        access += " · lab (its links can be cut, and its chain set back)"
    place = f"data {config.data}"
    if config.database_url is not None:
        from .store.backends.postgres.pg_address import shown as shown_url

        place += f" · database {shown_url(config.database_url)}"
        place += "" if config.role == ALL else f" · role {config.role}"
    return (
        f"{shown(name)} ({symbol}) · chain {show(chain_id)[:16]} · height {height} · http://{host}:{config.port} · "
        f"{place} · {access}"
    )

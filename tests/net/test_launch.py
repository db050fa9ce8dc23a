"""The lines of the processes that `moneyer up` starts."""

from __future__ import annotations

import errno
import io
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from datetime import datetime
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from queue import SimpleQueue
from typing import ClassVar

import pytest
from honcho.printer import Message

from moneyer.node.cli.main import run
from moneyer.node.cli.screen import welcome
from moneyer.node.devnet import forked
from moneyer.node.devnet.launch import GatedPrinter, NetworkManager
from moneyer.node.devnet.launch import run as run_network
from moneyer.node.devnet.layout import Network
from moneyer.node.system.forking import ENDS, IS_FORKED
from moneyer.node.system.locks import is_held
from tests.kit.chains import easy_coin
from tests.kit.commands import MONEYER, environment
from tests.kit.nodes import place_coin
from tests.kit.system.ports import free_port, free_ports
from tests.kit.waiting import wait_until


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("no_color", "coloured"), [("", True), ("1", False)])
def test_names_are_coloured_on_a_terminal_unless_no_colour_is_wanted(
    no_color: str, coloured: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", no_color)
    monkeypatch.setenv("TERM", "xterm")
    terminal = Terminal()
    printer = GatedPrinter(terminal)
    printer.open(show_held=True)
    printer.write(Message(type="line", data="mined", time=datetime(2026, 1, 1), name="worker1", colour="32"))
    assert ("\x1b" in terminal.getvalue()) is coloured
    assert "mined" in terminal.getvalue()


@pytest.mark.parametrize("reader", ["has gone", "has no room"])
def test_a_network_whose_lines_nobody_can_have_ends_quietly(reader: str, tmp_path: Path) -> None:
    """`moneyer up | head -2`, from the end of its second line on; and a full disk."""
    full = Path("/dev/full")
    if reader == "has no room" and not full.exists():
        pytest.skip("this system has no /dev/full")
    command = [*MONEYER, "up", "--nodes", "1", "--port", str(free_ports(1)), "--data", str(tmp_path / "net")]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE if reader == "has gone" else full.open("wb"),
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    ) as up:
        if up.stdout is not None:
            for _ in range(2):
                up.stdout.readline()
            up.stdout.close()
        assert up.stderr is not None
        said = up.stderr.read()
    assert up.returncode == 1
    assert said == ("" if reader == "has gone" else "moneyer: No space left on device\n")
    assert not is_held(tmp_path / "net" / "node1" / "node.lock")


def test_a_network_that_was_told_to_end_says_nothing_of_its_nodes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ctrl-C between a node's first answer and the screen."""
    printer = GatedPrinter(sys.stdout)
    manager = NetworkManager(printer, lambda: None, run)

    class Starting(BaseHTTPRequestHandler):
        """A node that says it is well, and is ended then."""

        def do_GET(self) -> None:
            is_first = self.path == "/healthz"
            if is_first:
                manager.terminate()
            self.send_response(200 if is_first else 503)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Starting) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        network = Network(tmp_path, easy_coin(), [server.server_port], own=True, lan=False)
        showing = threading.Thread(target=welcome(network, verbose=False), args=(printer,), daemon=True)
        showing.start()
        showing.join(120)
        server.shutdown()
    assert not showing.is_alive()
    assert "".join(capsys.readouterr()) == ""


def _stay(_: Sequence[str]) -> int:
    time.sleep(600)
    return 0


def _say_open_readers(_: Sequence[str]) -> int:
    print([reader for reader in forked.ForkedProcess.readers if not reader.closed])
    return 0


def _end_as(arguments: Sequence[str], ready: Path) -> int:
    """A node that ends with a reason, behind its worker, which ends well."""
    if arguments[0] == "worker":
        wait_until(ready.exists, 30, "the node to be ready")
        return 0
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    print("the passphrase is wrong", flush=True)
    ready.touch()
    signal.sigwait({signal.SIGTERM})
    return 1


def test_a_worker_that_went_with_its_node_is_not_the_reason_even_where_it_was_quicker(tmp_path: Path) -> None:
    network = {"node1": ["node"], "worker1": ["worker"]}
    ended = run_network(network, lambda _: None, partial(_end_as, ready=tmp_path / "ready"), io.StringIO())
    assert not ended.asked
    assert (ended.culprit, ended.said) == ("node1", "the passphrase is wrong")


def test_where_no_more_processes_are_to_be_had_those_that_run_end(monkeypatch: pytest.MonkeyPatch) -> None:
    class Scarce(forked.ForkedProcess):
        """Only the first one can be started."""

        started: ClassVar[list[Scarce]] = []

        def start(self) -> int:
            if self.started:
                raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
            self.started.append(self)
            return super().start()

    manager = NetworkManager(GatedPrinter(io.StringIO()), lambda: None, _stay)
    monkeypatch.setattr(manager, "_process_ctor", partial(Scarce, _stay))
    for name in ("node1", "node2"):
        manager.add_process(name, [], env={})
    before = {number: signal.getsignal(number) for number in ENDS}
    try:
        with pytest.raises(BlockingIOError):
            manager.loop()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    (first,) = Scarce.started
    first._process.join(60)
    assert first._process.exitcode == -signal.SIGTERM


def test_a_network_leaves_nothing_in_the_current_folder_where_there_is_no_cache_of_the_user(tmp_path: Path) -> None:
    """Compiled code is run, so none is read from the current folder either: somebody else may have made it."""
    subprocess.run(
        [sys.executable, "-P", "-c", f"from {forked.__name__} import ready_for_workers as ready; ready()"],
        cwd=tmp_path,
        env={**environment(), "MONEYER_CACHE": "/dev/null"},
        check=True,
        timeout=120,
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not IS_FORKED, reason="a new process has nothing of its launcher's")
def test_a_forked_process_keeps_no_reading_end_of_the_lines_of_itself_and_others() -> None:
    """Where the launcher is killed, a process that goes on printing must not fill a pipe that nobody reads."""
    events: SimpleQueue[Message] = SimpleQueue()
    both = [forked.ForkedProcess(_say_open_readers, [], name=name, colour="", env={}) for name in ("node1", "node2")]
    for each in both:
        each.start()
    for each in both:
        each.follow(events)
    said = [events.get(timeout=60) for _ in range(4)]
    assert [message.data for message in said if message.type == "line"] == [b"[]\n", b"[]\n"]


def test_a_node_that_ends_with_its_shell_says_why(tmp_path: Path) -> None:
    data, log = tmp_path / "node", tmp_path / "log"
    place_coin(data, easy_coin())
    node = [*MONEYER, "node", "--data", str(data), "--port", str(free_port())]
    shell = ["/bin/sh", "-c", '"$@" & read -r line', "sh", *node]
    with log.open("wb") as out:
        launcher = subprocess.Popen(
            shell, stdin=subprocess.PIPE, stdout=out, stderr=subprocess.STDOUT, env=environment()
        )
    try:
        wait_until(lambda: "height 0" in log.read_text("utf-8"), 60, "the node")
    finally:
        launcher.communicate()
    wait_until(lambda: not is_held(data / "node.lock"), 30, "the node to end")
    assert "the node ends, since the process that started it has ended" in log.read_text("utf-8")

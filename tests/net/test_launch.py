"""The lines of the processes that `moneyer up` starts."""

from __future__ import annotations

import io
import subprocess
from datetime import datetime
from pathlib import Path

import pytest
from honcho.printer import Message

from node.locks import is_held
from node.net.launch import Curtain
from tests.cli.support import MONEYER, environment
from tests.ports import free_ports


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
    curtain = Curtain(terminal)
    curtain.open(show_held=True)
    curtain.write(Message(type="line", data="mined", time=datetime(2026, 1, 1), name="worker1", colour="32"))
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

"""The lines of the processes that `moneyer up` starts."""

from __future__ import annotations

import io
from datetime import datetime

import pytest
from honcho.printer import Message

from node.net.launch import Curtain


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

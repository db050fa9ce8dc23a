"""Run README's way from `pipx install` to a coin sent, on real nodes, and write it there: python -m tools.journey

Ports are free ones here; README shows those that a reader gets.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import requests

README = Path(__file__).resolve().parent.parent / "README.md"
_BLOCK = re.compile(r"(<!-- tools/journey\.py.*?-->\n\n```console\n)(.*?)(```\n)", re.DOTALL)
_PATIENCE = 120.0
_ADDRESS = re.compile(r"\bbeach1[02-9ac-hj-np-z]{59}\b")


@dataclass(frozen=True)
class Step:
    """A line that a reader types. `until`: it goes on, and is shown up to the line with these words.

    `agreed`: it is typed once both nodes have the same chain; a reader is slow enough for that.
    """

    line: str
    until: str | None = None
    runs: bool = True
    agreed: bool = False


STEPS = (
    Step("pipx install ./moneyer", runs=False),
    Step('export MONEYER_PASSPHRASE="sand and shells"', runs=False),
    Step('moneyer new "Beach Coin" --block-time 30 --reward 50 --premine anna=1000 --yes'),
    Step("moneyer up --data beach-coin --nodes 1 &", until="Ctrl-C stops all"),
    Step("moneyer join http://127.0.0.1:5001 --data ben"),
    Step("moneyer node --data ben --port 5101 &", until=" · token in "),
    Step("moneyer wallet contact ben BEN --data beach-coin"),
    Step('moneyer send anna ben 2.5 --memo "for the ice cream" --wait --data beach-coin'),
    Step("moneyer balance --data ben", agreed=True),
    Step("moneyer history miner --data ben"),
)


class Journey:
    """The steps taken in an empty folder, with ports of their own."""

    def __init__(self, folder: Path, first_port: int, second_port: int) -> None:
        self.folder = folder
        self.ports = {"5001": str(first_port), "5101": str(second_port)}
        self.running: list[subprocess.Popen[str]] = []
        self.ben = ""

    def text(self) -> str:
        """The whole console, as README shows it."""
        return "".join(f"$ {self._typed(step)}\n{self._shown(self._run(step))}" for step in STEPS)

    def _typed(self, step: Step) -> str:
        return step.line.replace("BEN", self.ben)

    def _run(self, step: Step) -> str:
        if not step.runs:
            return ""
        line = self._typed(step).removesuffix(" &")
        for shown, used in self.ports.items():
            line = re.sub(rf"\b{shown}\b", used, line)
        if step.agreed:
            self._wait_until_agreed()
        if step.until is not None:
            return self._start(line, step.until)
        done = subprocess.run(  # noqa: S602 - the lines above
            line,
            shell=True,
            cwd=self.folder,
            env=self._environment(),
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=_PATIENCE,
            check=False,
        )
        assert done.returncode == 0, (line, done.stdout, done.stderr)
        found = _ADDRESS.search(done.stdout)
        if "join" in line and found:
            self.ben = found[0]
        return done.stdout

    def _wait_until_agreed(self) -> None:
        end = time.monotonic() + _PATIENCE
        while len({self._tip(port) for port in self.ports.values()}) > 1:
            assert time.monotonic() < end, "the nodes do not agree"
            time.sleep(0.05)

    @staticmethod
    def _tip(port: str) -> str:
        answer = requests.get(f"http://127.0.0.1:{port}/v1/status", timeout=10)
        return str(answer.json()["tip"])

    def _start(self, line: str, until: str) -> str:
        process = subprocess.Popen(  # noqa: S602 - the lines above
            f"exec {line}",
            shell=True,
            cwd=self.folder,
            env=self._environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
        )
        self.running.append(process)
        assert process.stdout is not None
        shown, end = "", time.monotonic() + _PATIENCE
        for each in process.stdout:
            shown += each
            if until in each:
                return shown
            assert time.monotonic() < end, shown
        raise AssertionError(f"{line} has ended: {shown}")

    def _environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("MONEYER_", "HONCHO_"))}
        here = str(Path(sys.executable).parent)
        return {
            **kept,
            "PATH": f"{here}:{kept.get('PATH', '')}",
            "MONEYER_PASSPHRASE": "sand and shells",
            "MONEYER_UP_PORT": self.ports["5001"],
            "MONEYER_LOG_LEVEL": "warning",
            "MONEYER_STATE": "/dev/null",  # these nodes are not among the person's own
            "COLUMNS": "120",
        }

    def _shown(self, text: str) -> str:
        for shown, used in self.ports.items():
            text = re.sub(rf"(?<=:){used}\b", shown, text)
        text = text.replace(str(self.folder), "/home/anna")
        text = re.sub(r"\b([0-9a-f]{16})[0-9a-f]{48}\b", r"\1…", text)
        return "".join(f"{line.rstrip()}\n" for line in text.splitlines())

    def end(self) -> None:
        """Stop what goes on, each by its own id."""
        for process in reversed(self.running):
            process.terminate()
        for process in self.running:
            process.communicate(timeout=20)


@contextmanager
def journey(folder: Path) -> Iterator[Journey]:
    """A journey on free ports; whatever it started ends with it."""
    from tests.kit.system.ports import free_ports

    first = free_ports(2)
    taken = Journey(folder, first, first + 1)
    try:
        yield taken
    finally:
        taken.end()


def shown(text: str) -> str:
    """The console that README's text has."""
    found = _BLOCK.search(text)
    assert found, "README.md has lost the way from pipx install"
    return found[2]


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, journey(Path(folder)) as taken:
        console = taken.text()
    text = README.read_text("utf-8")
    shown(text)
    README.write_text(_BLOCK.sub(lambda found: found[1] + console + found[3], text), "utf-8")


if __name__ == "__main__":
    main()

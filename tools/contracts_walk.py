"""Run the walk of docs/contracts.md on a real node and write its answers there: python -m tools.contracts_walk

Each person has a folder, a wallet with one key, and the others as contacts; `NAME$` says who types.
"""

from __future__ import annotations

import re
import shlex
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

PAGE = Path(__file__).resolve().parent.parent / "docs" / "contracts.md"
_BLOCK = re.compile(r"(```console\n)(.*?)(```\n)", re.DOTALL)
_COMMAND = re.compile(r"^(\w+)\$ (.*)$", re.MULTILINE)
_PEOPLE = ("alice", "bob", "carol")
_ADDRESS = re.compile(r"\b(beach1[02-9ac-hj-np-z]{4})[02-9ac-hj-np-z]{50,}\b")
_DIGITS = re.compile(r"\b([0-9a-f]{4})[0-9a-f]{8,60}(…|\b)")
_WAITING = ("waiting for a block …", "nobody mines: ")
"""They are said unless the block comes soon."""
_LINE = re.compile(r"(moneyer-proposal1:)\S+")


def filled_in(text: str, run: Callable[[str, list[str]], str]) -> str:
    """The page with what each of its commands answers. `run`: by whom, and the words of the command."""

    def block(found: re.Match[str]) -> str:
        answers = [
            f"{person}$ {command}\n{shortened(run(person, shlex.split(command)))}"
            for person, command in _COMMAND.findall(found[2])
        ]
        return found[1] + "".join(answers) + found[3]

    return _BLOCK.sub(block, text)


def shortened(text: str) -> str:
    """An answer with what is long cut, and what differs from run to run left out."""
    for pattern, short in ((_ADDRESS, r"\1…"), (_LINE, r"\1…")):
        text = pattern.sub(short, text)
    lines = [line for line in _DIGITS.sub("…", text).splitlines() if not line.startswith(_WAITING)]
    return "".join(f"{line}\n" for line in lines)


def walked(folder: Path, text: str) -> str:
    """The page, filled in by a node and three people in `folder`."""
    from moneyer.node.core.coinfile import coin_to_toml
    from moneyer.node.wallet.derive import Key
    from moneyer.node.wallet.keystore import create_wallet
    from tests.kit.chains import key
    from tests.kit.commands import moneyer
    from tests.kit.mining.workers import mining
    from tests.kit.running import own_coin, own_node

    coin = own_coin(rules=2, name="Beach Coin", symbol="BEACH", hrp="beach", clock_tolerance=60)
    for person in _PEOPLE:
        data = folder / person / "data"
        data.mkdir(parents=True)
        (data / "coin.toml").write_text(coin_to_toml(coin))
        create_wallet(data / "wallet.json", {person: Key.from_secret(key(person).secret)}, development=False)
        for other in _PEOPLE:
            if other != person:
                moneyer("wallet", "contact", other, key(other).address(coin), "--data", data)

    with own_node(folder / "node", coin) as node, mining(folder / "node", "instant"):

        def run(person: str, words: list[str]) -> str:
            home = folder / person
            if words[0] == "cp":
                shutil.copy(home / words[1], home / words[2])
                return ""
            env = {"MONEYER_DATA": str(home / "data"), "MONEYER_NODE": node.url, "COLUMNS": "100"}
            done = moneyer(*words[1:], cwd=home, env=env)
            if done.returncode:
                raise AssertionError(f"{' '.join(words)}: {done.stderr}")
            return done.stdout

        return filled_in(text, run)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        text = walked(Path(folder), PAGE.read_text("utf-8"))
    PAGE.write_text(text, "utf-8")


if __name__ == "__main__":
    main()

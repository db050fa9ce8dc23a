"""Run the walk-through of README.md on real nodes and write their answers into it: python -m tools.transcript

The nodes use free ports; README shows those of the Procfile.
"""

from __future__ import annotations

import json
import re
import shlex
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import requests

README = Path(__file__).resolve().parent.parent / "README.md"
_BLOCK = re.compile(r"(<!-- tools/transcript\.py.*?-->\n\n```console\n)(.*?)(```\n)", re.DOTALL)
_WIDTH = 120
_SHOWN_TRANSACTIONS = 2
"""Of one block; the rest is `…`."""
_CUT = ', "…": "…"}'
_LONG = re.compile(r"\b([0-9a-f]{64}|dev1[02-9ac-hj-np-z]{40,})\b")


def commands(text: str) -> list[str]:
    """The curl commands of the walk-through in README's text."""
    found = _BLOCK.search(text)
    assert found, "README.md has lost its transcript"
    return [line[2:] for line in found[2].splitlines() if line.startswith("$ ")]


def answers(text: str) -> list[str]:
    """What README says that each of them answers, in order."""
    found = _BLOCK.search(text)
    assert found, "README.md has lost its transcript"
    return [part.partition("\n")[2] for part in re.split(r"^\$ ", found[2], flags=re.MULTILINE)[1:]]


def run(command: str, first_port: int, seen: set[str]) -> str:
    """The answer to one of the curl commands, laid out, from a network whose node 1 is at `first_port`.

    `seen`: hashes of the blocks that stood in earlier answers, which are shortened; those of this one are added.
    """
    for number in (1, 2, 3):
        command = command.replace(f"127.0.0.1:{5000 + number}", f"127.0.0.1:{first_port + number - 1}")
    words = iter(shlex.split(command)[1:])
    url, headers, body = "", {}, None
    for word in words:
        if word == "-H":
            name, _, value = next(words).partition(": ")
            headers[name] = value
        elif word == "-d":
            body = next(words)
        else:
            url = word
    answer = requests.request("POST" if body else "GET", url, data=body, headers=headers, timeout=60)
    text = (
        "".join(f"{line}\n" for line in lay_out(shortened(answer.json(), seen)))
        .replace(_CUT, ", …}")
        .replace('"…"', "…")
    )
    for number in (1, 2, 3):
        text = text.replace(f"127.0.0.1:{first_port + number - 1}", f"127.0.0.1:{5000 + number}")
    return text


def shortened(value: Any, seen: set[str]) -> Any:
    """A block that was shown already by its index and hash alone; of many transactions the first."""
    if isinstance(value, list):
        return [shortened(each, seen) for each in value]
    if not isinstance(value, dict):
        return value
    block_hash = value.get("hash")
    if block_hash in seen:
        return {"index": value["index"], "hash": block_hash, "…": "…"}
    if isinstance(block_hash, str):
        seen.add(block_hash)
    if len(value.get("transactions", ())) > _SHOWN_TRANSACTIONS:
        value = {**value, "transactions": [*value["transactions"][:_SHOWN_TRANSACTIONS], "…"]}
    return {name: shortened(each, seen) for name, each in value.items()}


def lay_out(value: Any, indent: str = "", key: str = "", end: str = "") -> Iterator[str]:
    """JSON for people: on one line what fits on it, long hashes and addresses cut."""
    flat = indent + key + _LONG.sub(lambda found: f"{found[1][:10]}…", json.dumps(value, ensure_ascii=False)) + end
    if len(flat) <= _WIDTH or not isinstance(value, dict | list):
        yield flat
        return
    opening, closing = ("{", "}") if isinstance(value, dict) else ("[", "]")
    rows = (
        [(f"{json.dumps(name)}: ", each) for name, each in value.items()]
        if isinstance(value, dict)
        else [("", each) for each in value]
    )
    yield f"{indent}{key}{opening}"
    for number, (name, each) in enumerate(rows, 1):
        yield from lay_out(each, f"{indent}  ", name, "," if number < len(rows) else "")
    yield f"{indent}{closing}{end}"


def filled_in(text: str, first_port: int) -> str:
    """README's text with the answers of a network."""
    seen: set[str] = set()
    transcript = "".join(f"$ {command}\n{run(command, first_port, seen)}" for command in commands(text))
    return _BLOCK.sub(lambda found: found[1] + transcript + found[3], text)


def main() -> None:
    from tests.kit.net.launchers import Network

    with tempfile.TemporaryDirectory() as folder:
        network = Network(Path(folder))
        with network.honcho() as launcher:
            network.wait_until_up(launcher)
            text = filled_in(README.read_text("utf-8"), network.first_port)
    README.write_text(text, "utf-8")


if __name__ == "__main__":
    main()

"""The commands, one file for a group of commands that belong together. `cli.main.COMMANDS` names each.

A file has its click commands on top and their helpers below. A command parses its words, asks a node (`place.client`)
or opens a folder, and prints rows or, with `--json`, the API's objects. The first sentence of its docstring is its line
in `moneyer --help`; `docs/cli.md` is made from docstrings and options (`make docs`).

Files do not import each other but for: `join` takes `new.describe` and `recover.used_keys`, `wallet` adds the commands
of `recover`. What two commands need goes up into `node.cli`.

- without a node: `new`, `join` (asks one), `wallet` and `recover`, `data` (`verify`, `db`), `extras`
- of a running node: `look` (status, peers, mempool, block, tx), `money` (balance, history), `send`, `mine`
- processes: `run` (node, worker, stratum), `up` (a whole network)
"""

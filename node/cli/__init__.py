"""The command line `moneyer`. In come words and environment variables; out go lines, JSON and an exit status.

`main` finds the command by its name and loads that module alone, because a command must start quickly: no command's
module imports anything heavy at its top (a database, cryptography, a client's requests); functions do when they run.
Every failure comes back to `main.run`, which makes one sentence on stderr and one of the five statuses of `exits`.

**Read** `main` (the list of commands, every failure), `exits` (statuses; what a command has changed so far), `options`
(options that several commands share), then one command, such as `commands/money.py`. Beside them: `usage` (click's
errors in our words), `output` (tables, JSON, widths), `folders` → `place` (which data folder, which node;
`devnet.holder` shows its token to that node alone), `node_client` (asks that node), `contract_place` (contracts and
their people), `secret` (passphrases and keys, never from an argument), `waiting` (follow a transfer, why no block
comes), `screen` (what `moneyer up` shows).

**Processes and threads.** A command is one process with one thread, but for `send --wait` (asks peers in a few) and
`up` (honcho's). `node`, `worker` and `stratum` become the process that they name. Commands speak to a node through
`node.client` over HTTP; those on a data folder (`verify`, `db`, `wallet`) open its files.

**May import** every room; no room imports it. `moneyer.worker.__main__` enters here too, by design.

**Weak:** late imports hide a missing module until its command runs; the tests run every command's help.
"""

if __name__ == "node.cli":  # `python -m node.cli.main` in a checkout
    raise SystemExit("the command is a part of the package moneyer: start it with `python -P -m moneyer`")

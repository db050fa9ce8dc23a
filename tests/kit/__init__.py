"""What tests and benches share: made-up chains, real nodes, hostile peers, and ways to wait for them.

Read `chains` first (coins, keys, solved blocks), then the two shapes of a node: `nodes` (its parts in this process,
without a server) and `running` (as processes of its own, spoken to by HTTP; `serve` is the module they run).

    waiting      waits for a condition, instead of sleeping; a clock that the test turns
    databases    which database a test runs on: SQLite or PostgreSQL
    browser      pages in a real Chromium, and what goes wrong on them
    commands     `moneyer …` as a person runs it, with and without a terminal
    damage       data folders to copy and damage
    statements   the SQL that a node runs
    words        what no sentence for people may contain
    postgres/    PostgreSQL servers: a shared one, and ones to stop, kill, follow and promote
    system/      ports, processes, terminals, a small disk, hosts of a local network; `warm` starts `moneyer` quickly
    net/         peers that are honest or lie, networks that can be torn, `moneyer up` and honcho
    callers/     clients of the API: handlers without HTTP, event streams, crowds that want every place
    mining/      workers, a Stratum server, and miners that speak Stratum

Nodes, workers and commands are real processes, forked from one that has imported them (`system/warm`): a node costs
0.2 s of the processor then instead of 0.95 s, a command 0.01 s instead of 0.12 s. A test of how `moneyer` starts, of
what it imports or of how it ends beside broken streams uses `subprocess`.

A helper that only one folder of tests uses stays in that folder. Everything here binds loopback only.
"""

"""What tests and benches share: made-up chains, real nodes, hostile peers, and ways to wait for them.

Read `chains` first (coins, keys, solved blocks), then the two shapes of a node: `nodes` (its parts in this process,
without a server) and `running` (as processes of its own, spoken to by HTTP; `serve` is the module they run).

    waiting      until a condition holds, instead of sleeping; a clock that the test turns
    commands     `moneyer …` as a person runs it, with and without a terminal; `terminals` reads what that shows
    processes    functions of a test in processes of their own, and a pipe to them
    ports disks  what the system gives: ports that nobody else takes, a disk of a few megabytes
    process_tree whose children a process has, whether it lives; `lan`: hosts of a local network, as network namespaces
    damage       data folders to copy and damage
    statements   which SQL a node runs; `words`: what none of our sentences may say
    net/         peers that are honest or lie, networks that can be torn, `moneyer up` and honcho
    callers/     clients of the API: handlers without HTTP, event streams, crowds that want every place
    mining/      workers, a Stratum server, and miners that speak Stratum

A helper that only one folder of tests uses stays in that folder. Everything here binds loopback only.
"""

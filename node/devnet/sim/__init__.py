"""Simulation past one machine: a network of thousands of nodes on a virtual clock. No process, socket, file or chain.

In comes a `Scenario` (plain values: nodes, graph, latencies, hash rates, an attacker); out come `Findings` (stale rate,
times of propagation, reorgs, fairness, retarget, success of an attack), the same for the same scenario everywhere.

The logic is the node's own, called, not copied: headers and contexts (`core.rules`, `core.pow`), the timestamps of
templates (`core.template`), fork choice and the way from tip to tip (`core.rules.wins`, `core.rules.route`), what is
news to a peer and which blocks go with it (`p2p.gossip.relay_policy`). What is virtual: the clock, the links, the hash
rate (blocks come by a Poisson process; no header's hash is searched for). What is left out is said in `findings`.

    simulate(scenario)
      build_topology           the graph, delays of links, shares of the hash rate
      BlockTree                all blocks there are, each header checked by the rules, once
      VirtualNetwork.run       the clock: blocks are found, arrive, move tips, go on to peers; an Attacker is asked
      count_up                 the findings, beside the published formulas

**Read** `scenario`, `simulate`, `virtual_network` (the loop), `block_tree`, `topology`, `chances`, `attackers`,
`findings`, `closed_forms`; then `sweeps` (many scenarios, each in a process), `cluster` (on many machines, by Dask) and
`sim_charts` (matplotlib). Dask and matplotlib are extras, and are imported by the functions that need them.

**Threads and processes.** A simulation is one thread without locks. `sweeps.run_here` runs several at a time, each in a
process of its own, which ends with its parent; `cluster.run_on_cluster` hands them to Dask's workers.

**Weak:** memory grows with nodes × blocks that do not reach all (stale ones): `Scenario.check_memory` estimates it. Two
Pythons whose `log` or `exp` differ in the last bit could round a time to another microsecond.
"""

"""Experiments with contracts: addresses that are a policy, paid and spent on real nodes.

In comes a `Notebook`, as for every experiment. `contract_ground` has one contract on one node: its address, what it
holds, and spends of it that name whichever leaves and are signed by whomever, right or wrong, since a node's refusals
are half of what there is to see. `escrow` is one network; `two_coins`, the swap, two of them at virtual times.

**Read** `contract_ground`, `escrow`, `two_coins`.

**Processes, threads, locks.** Those of the networks, which end when their `with` ends.

**May import** the experiments' notebook, scenes and virtual times, and all below the lab. **Weak:** keys are the
published ones of a development coin, and one program holds them all: what people send each other is left out.
"""

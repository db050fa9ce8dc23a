"""Experiments on networks of real nodes: a file each, which a student reads in two minutes.

An experiment is a function that gets a `Notebook`: from it it takes its network, and into it it writes what it does,
what each node has then, which rule decided, pictures, and claims that either hold or don't. What comes out is JSON.

**Read** `notebook`, then any experiment, say `fork_and_heal`; `block_scenes` reads the block tree of real nodes for the
pictures, `past_chain` builds blocks with virtual times; `contracts/` has the experiments on who may spend. To add one:
a file with a function and an `EXPERIMENT` at its end, and its line in `lab_list`.

**Processes, threads, locks.** Those of the networks, which end when their `with` ends. An experiment waits for
conditions and never sleeps; where something is left to chance, the notebook's `chance` draws it, so that a seed repeats
it. Blocks hold random bytes all the same: hashes differ from run to run.

**May import** all of the lab and below it. **Weak:** on a machine that is very busy a wait may end in NotInTime.
"""

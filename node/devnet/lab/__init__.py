"""The lab: experiments on networks, and attacks on one node, each answered by the rule that stops it.

In comes a name and where to write; out come lines for a person while it runs, and a result that is JSON.

**Attacks.** `attacks` has one small class for each: what is done, how its block is made, and the `check_*` function of
`node.core` that refuses it. `attack_ground.Ground` reads from a node what an honest block on its tip needs, and builds
it with the published keys of a development network; an attack changes that block. `block_fields` cuts a block's bytes
into its fields and marks those that were changed. `attacking` sends the bytes to `/p2p/block`, as any peer would,
compares the answer with the rule, and looks whether height and balances are as before. `throwaway` runs a node for it
on a temporary folder.

**The list.** `lab_list` names all that `moneyer lab list` shows, attacks and experiments alike: a name, a title, a
paragraph, what it shows, and a function that runs it (`lab_entry.Entry`).

`pictures/` draws block trees and curves as SVG.

**Threads, locks.** None of its own. `throwaway` starts one process, which ends with this one.

**May import** all below it; it is imported by the command line. **Read** `lab_entry`, `lab_list`, `attacks`,
`attack_ground`, `attacking`. **Weak:** on a node whose chain grows meanwhile, what was unchanged can be said of the
attack's own block only.
"""

"""What a node of an experiment does (`--lab`): its links are cut and slowed, its chain goes back to a snapshot.

In: conditions of links, the name of a snapshot; from the owner, like all that changes a node. Out: what holds then.

v1_lab    the conditions of the links, the way back to a snapshot
v1_graph  the whole network that was made from a graph, whatever is stopped or cut; without `--lab`, too

No threads and no locks of its own: `Node.go_back` takes its turn among the writes. Without `--lab` each other call is
refused with `NoLab`.

Weak: whoever has the token of such a node can have acknowledged transfers vanish. That is what an experiment is for.
"""

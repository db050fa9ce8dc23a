"""Graphs: the shape of a network, named (`ring:6`) or drawn in a file; no node, no process, no clock.

In comes a line of text (a shape, or a file's name); out comes a `NetworkGraph`: nodes with names that are folder names,
and edges with delay, loss and rate. Every refusal is a `BadGraph` that says file, line and name.

**Read** `graph` (the three dataclasses), `graph_reading` (`read_graph`, the one door) and `named_shapes` (ring, star,
random, …).

No thread, no lock, no state. networkx makes the random shapes and is loaded for these only: it takes 0.3 s.

May be called by the rooms of `node.devnet` and the command line.
"""

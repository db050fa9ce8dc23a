"""Graphs: the shape of a network, named (`ring:6`) or drawn in a file; no node, no process, no clock.

In comes a line of text (a shape, or a file's name); out comes a `NetworkGraph`: nodes with names that are folder names,
and edges with delay, loss and rate. Every refusal is a `BadGraph` that says file, line and name.

**Read** `graph` (the three dataclasses), `graph_reading` (`read_graph`, the one door), `named_shapes` (ring, star, …);
for files `graph_files` (opens one within bounds and picks its reader), the readers `xml_graphs` (GraphML, GEXF),
`dot_graphs` and `text_graphs` (edge list, JSON), which give a `RawGraph`, and `raw_graph`, which holds the rules that
make it a network; `attributes` reads what vertices and edges ask for. `drawing` makes a picture, `placing` says where
each node stands in it.

No thread, no lock, no state. networkx makes the random shapes and is loaded for these only (0.3 s). The readers
are our own, as networkx forgets the lines that a refusal names; tests hold them to what networkx writes. A file is
bounded before it is read, and nothing in it is run or fetched. matplotlib is loaded for PNG only.

**Weak:** JSON is refused with the name of what is wrong and without its line. May be called by the rooms of
`node.devnet` and the command line.
"""

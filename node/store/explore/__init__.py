"""Reads of the chain that pages and `/v1` ask for: the tree of its newest blocks, and figures along it.

Functions take a connection and give frozen rows, as everywhere in `store`; nothing here writes. Each reads a bounded
number of rows by an index, however long the chain is: `tests/store/test_explore.py` holds the plans, and
`bench/bench_explore.py` measures them at a million transfers.

tree      the newest heights with every branch; the leaves
series    what stands at some heights, and what lies between two of them, from the sums that each block keeps
digits    blocks, transactions and accounts by the first digits of what people see

May be called by `node.chain.verify` and `node.api`. Read: tree, series, digits.
"""

"""The rows of the mempool. Policy is `node.chain.mempool` and `node.chain.settle`; here are only queries.

`entries`: the rows, one by one and by sender, and totals that are kept in step. `intake`: many new rows in one
statement. `senders`: what a process remembers of senders from intake to intake. `eviction`: which go first from a full
pool. `order`: by arrival, for those that follow it; by fee rate, for templates. Functions take a connection; those that
change rows run within a write.
"""

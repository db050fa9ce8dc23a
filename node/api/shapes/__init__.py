"""The JSON of the API: structs whose fields are its keys, and what fills them from the node's own values.

fields     types that shapes share (a hash, an amount in base units), and the encoder
v1         `/v1`, errors, events          mining    the worker, Stratum, templates, jobs
assets     assets and who holds them (rules 2)
tutorial   the tutorial's calls           render    rows and transactions as shapes of `v1` and `mining`

What a call takes (its body and query) is a struct beside its handler in `calls/`; `/p2p` has its shapes in
`node.p2p.peer.wire`, which both sides read with. A key is spelled here and nowhere else; docs/keys.md has a sentence on
each. Pure: nothing here reads a row or a clock. Read: fields, v1, render.
"""

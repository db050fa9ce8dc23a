"""The calls that pages draw from: the newest part of the tree, figures along the chain, what a text may mean.

v1_chain: `/v1/tree`, `/v1/stats` · v1_search: `/v1/search`. Their shapes are in `shapes.explore`, their statements in
`node.store.explore`. None reads more rows than a bound that stands here, however long the chain is.

As in `calls`: handlers run in many threads at once and keep nothing. Read: v1_chain, v1_search.
"""

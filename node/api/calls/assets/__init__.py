"""The calls about assets and policies: what only coins of rules 2 have (docs/protocol.md). On others they answer 404.

v1_assets: `/v1/assets`, one asset with its holders and transactions, and what an account holds. The shapes are in
`shapes.assets`, the statements in `node.store.assets.asset_pages`. Every list is paged by an index, as anybody may
issue assets without end, and send some of each to anybody.

v1_policies: `/v1/policies/encode` and `decode`, for tools: text, bytes and words of a contract's policy, by
`node.contracts`.

As in `calls`: handlers run in many threads at once and keep nothing. Read: v1_assets, v1_policies.
"""

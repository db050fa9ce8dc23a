"""The calls: one file a noun. A handler parses what the path names, calls the node, and returns a struct of `shapes`.

    @endpoint("GET", "/v1/tips", "The tip of every branch", reply=Tips, bound=DEAR_READS)
    def tips(node: Node, call: Call[None, None]) -> Tips: ...

v1_status (status, health, metrics, the coin), v1_blocks, v1_transactions (the mempool too), v1_accounts, v1_peers,
v1_events, v1_mining (jobs, the mode), v1_templates (mining tools) · p2p_calls: what nodes ask each other ·
tutorial, and tutorial_wallet: its sends and first coins · identify: what a path or body may name · rooms of their own:
assets/ (coins of rules 2), explore/ (the chain in figures, search), lab/ (what only a node of an experiment does).

`app` imports each file, and so registers its endpoints. Handlers run in many threads at once and keep nothing: what is
kept is in `call.parts`. They raise typed errors, which `http.errors` answers. A call that waits for a block or
a peer takes a place of a bound of its own, so that it keeps no other kind of call waiting.
"""

"""Moneyer's node: consensus (`core`), storage, chain, mempool, peers, API, wallet and command line."""

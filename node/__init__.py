"""Moneyer's node: consensus (`core`), storage, chain, mempool, peers, API, wallet and command line."""

__version__ = "0.1.0"

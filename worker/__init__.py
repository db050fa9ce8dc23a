"""Moneyer's mining worker: `miner` turns a template into a block, `engines` search for the nonce."""

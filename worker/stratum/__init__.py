"""A Stratum v1 server: anyone's SHA-256d miner, on any machine, mines for this node.

`session` is the protocol with no socket in it, `jobs` turns a template into what miners are told, `link` follows the
node's chain, `server` has the sockets.
"""

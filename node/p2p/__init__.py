"""Node to node: bounded requests, the peer table, headers-first sync."""

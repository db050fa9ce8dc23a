"""The peers that this node knows: who they are, how they behaved, whom to ask, what to refuse.

In: URLs (of the owner, of peers, of `/p2p/connect`) and what came of asking them (a `Greeting` or a `PeerError`). Out:
rows of the table `peers`, in order of rank; `PeerClient`s; verdicts (Banned, TableFull, …).

A peer starts with 100 points. A `PeerError` costs its `penalty`; blocks and transfers that count give points back. At
none, an error of BAN_PENALTY or more bans the URL for an hour; smaller ones leave one point. `PeerTable` asks peers
and records the outcome, `standing` says how a row changes, `Offenders` refuses addresses that call with what breaks the
rules. `spread`, `reach` and `Backoff` (in `configured`) are used by gossip to choose whom to call, and when.

Threads: none of its own, but `meet peers` runs `ConfiguredPeers.meet` on a node with `--manual`, and up to MAX_ASKED
threads `peers` ask at once within one call. Locks: one in `PeerTable` for its shared clients, one in `Offenders`; rows
change in write transactions only, and no request is made inside one. `on_change` and `on_delivery` are called in the
caller's thread, after the commit.

Called by gossip, sync, the API and the CLI; it calls `peer` and `store`.

Weak: a ban is for a URL, so a banned node with another port is a new peer, though limits by address hold it. Names are
not looked up for these limits.

Read in this order: standing, peer_table, offenders, reach, spread, configured.
"""

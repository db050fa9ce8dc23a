"""Speaks to one peer: bounded requests, checked answers, typed errors. It knows neither the chain nor other peers.

In: a `PeerUrl` and a call of `PeerClient`. Out: its checked answer, or a `PeerError`, whose class says what the peer
did, how many points that costs it, and whether to try again.

On a node of an experiment (`--lab`) links are cut, late, lossy or narrow as `link_conditions` says; `conditioned` makes
requests go so, and breaks those that are under way on a link that is cut.

A call goes `PeerClient` (the calls) → `Transport` (one bounded HTTP exchange) → `urls.connect` (looks up, checks the
address, connects) and back through `wire` (parses the answer). Nothing that a peer sends is used before `wire` has
checked it, and no message repeats it.

Threads: `deadlines`, one for the process, started by the first request: it sleeps until the next deadline and then
shuts that request's sockets. `resolve`, one for each look-up of a name, since that can't be interrupted. Locks: that
of each `RequestDeadline` (its sockets), the condition of the watchdog (its queue), and that of `ConditionedLinks`
(conditions, and what is under way). A `PeerClient` may be used by several threads; each then has a connection of its
own.

The rooms above (table, gossip, sync) and the API's calls use it; it uses `core` and `system`.

Weak: http only, so whoever is on the way reads and changes what nodes say. Blocks, headers and transfers prove
themselves; hellos and lists of peers do not. A look-up that hangs leaves its thread until the resolver gives up.

Read in this order: urls, errors, wire, connection, peer_client; then link_conditions, conditioned.
"""

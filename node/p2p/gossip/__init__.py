"""Keeps a node in step with its peers: which peers it is linked with, and what is sent to each.

In: commits of any process of this node (seen by `Relay`), what peers send to the API (`Gossip.heard_…`, `delivered`),
changes of the table of peers. Out: pushed blocks and transfers, transfers taken into the mempool, peers to sync with.

`LinkManager` chooses peers and starts a `Link` for each. A link says hello, tells its peer this node's URL, asks once
for its mempool and its peers, and then sends what is new: blocks by a `BlockOutbox`, transfers by a `TransferOutbox`,
which remember what the peer has. `Relay` follows the tip and wakes the links. A peer with more work goes to `CatchUp`
(`node.p2p.sync`), which fetches its chain. `Gossip` ties these together and is what links and the API call.

A link is one way: this node makes the requests. A peer that asks by `/p2p/connect` is called back, so that as a rule
each end has a link and sends over its own. A peer that can't call this node sends nothing by itself, and is asked more
often.

The threads are drawn in `node.p2p`. Locks: `LinkManager` has one for its links, URLs and failures, never held during a
request or a write; `Relay` has one for its memory and listeners; `RecentHashes` have one each. A link has none: other
threads call only its methods up to `calls_from`, each of which sets single fields or an event.

Weak: with `--manual` nothing is sent by itself (`ManualLook` says hello while somebody looks at the network). What a
peer has is remembered for some thousand hashes only: older ones may be sent again. The manager reads the whole table of
peers in each round.

`neighbourhood` makes a picture of the network from the links and what their peers tell of theirs; it changes nothing.

`relay_policy` has the two decisions that the simulation (`node.devnet.sim`) makes too: what is news to a peer, and
which blocks go with it.

Read in this order: gossip, relay, relay_policy, outbox, links, link_manager, neighbourhood, manual_look.
"""

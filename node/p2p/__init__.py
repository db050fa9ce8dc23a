"""Node to node: who the peers are, what is new for them, and whose chain has more work.

A node trusts no peer. Every request is bounded in time and bytes, every answer is checked before it is used, and blocks
and transfers go through the same doors as any other (`Chain.accept_blocks`, `Mempool.accept_transfers`). A peer that
breaks the rules loses points and is banned for a while.

peer/    speaks to one peer: bounded HTTP, checked answers, typed errors
table/   who there is and how each behaved: scores, bans, limits by address
sync/    fetches a chain with more work: headers first, then blocks from several peers
gossip/  keeps links to a few peers, and sends them new blocks and transfers
lan.py   finds nodes of the same coin on the local network (mDNS)
turn.py  whether this node is the one of its database that does all this: `PeerTurn` starts and stops Gossip, Discovery

What peers send to this node comes in as HTTP requests, through `node.api.calls.p2p_calls`.

The threads, all of them daemons; an arrow says who starts or wakes whom:

  Node.start (main thread); where the database is a server's, the thread `peer turn`, which the store's thread
   |                        `presence` tells when this node gets the turn and when it loses it
   |
   +- Gossip.start
   |   +--> relay        waits for commits of any process (TipFollower);    ends on stop, joined
   |   |      |          wakes every link that has something to send
   |   |      v
   |   |    peer H:P     one for each link: waits for its relay, a time     ends after the request that it is in,
   |   |      ^   |      or stop; makes one request at a time               on stop or by an error; not joined
   |   |      |   |
   |   +--> links |      the LinkManager: waits for changes of the table,   ends on stop, joined
   |   |          |      ended links, due times; starts links
   |   |          v
   |   +--> catch up     waits for peers with more work; syncs with one     ends on stop; a sync is not waited for
   |           |
   |           +--> bodies   one for each peer asked for blocks, up to 4    end with the download, or by a deadline
   |
   +- Discovery.start
       +--> discovery    waits for names that zeroconf's threads hear;      ends on stop, joined for 1.5 s
                         tells the LinkManager

  with --manual, in place of all that Gossip starts:
       meet peers        adds the peers of --peer to the table              ends when done, or on stop
       look at peers     asks peers for their tips while somebody looks     ends on stop, not joined
                         at the network

  when needed, in any of these or in a request's thread:
       deadlines         one for the process: shuts the sockets of late     never ends, sleeps
                         requests
       resolve           looks up one name                                  ends with the look-up
       peers             up to 64 at a time: ask many peers at once         joined by the thread that asks

With `--only-peers` a node links with the peers that its owner names, and with no other. With `--lab` its links are as
an experiment wants them: `peer.conditioned` cuts, delays and loses what goes over them, `gossip.set_conditions` ends
those that are cut.

No lock of these rooms is held while a request is made or the database is written, but for the `FairLock` of `Sync`,
which is held for a whole sync.

The rooms call downwards only: gossip > sync, lan > table > peer. Called by `node.service` and `node.api`; calls
`node.chain`, `node.store`, `node.system`, `node.core`.

Weak: http without encryption; addresses are cheap to come by in IPv6 (limits count a /64 as one); a node that knows
only its attacker's peers believes its chain, if that has the work.

Read in this order: peer, table, sync, gossip; each room's page says how to read it.
"""

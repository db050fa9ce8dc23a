"""Fetches chains with more work than this node's: headers first, then blocks from several peers.

In: peers that claim more work (`CatchUp.want`), or a caller's wish (`Sync.replace_chain`, of the API). Out: blocks for
`Chain.accept_blocks`, blame and credit in the table of peers, `SyncProgress` for whatever shows it.

One sync goes like this. `Sync.sync_with` takes the `FairLock`, so that there is one at a time. `survey` asks the
leading peer for the headers behind the fork point and checks each of them in full (`HeaderLine`: proof of work, bits,
times) until their work is more than this node's: a peer must show real work before any block is asked for. `Download`
goes through this plan: `BodyFetcher` fetches the blocks from up to four peers into a window and hands them out in
order; runs of them go to the chain, which checks them again like any other block. Then comes the next survey, until
the peer has no more.

Threads: a sync runs in its caller's thread, which is `catch up` (one, started with gossip) or a request's.
`BodyFetcher` starts a thread `bodies` for each peer that it asks; they end with the download, or by the deadline of
their last request. Locks: the `FairLock` (who leads; held for the whole sync), and the conditions of `BodyFetcher`
(window and peers), `CatchUp` (who waits) and `SyncMeter`, none of which is held during a request or a write.

Fairness: while others wait, a peer leads for SLICE_SECONDS (`TimeSlice`) and then waits again. Turns go by address, not
by claimed work, which costs nothing to claim.

Weak: which other peers have a block is guessed from their height, so one on another branch costs a request. A peer that
sends true headers at LEAST_RATE, and never enough work, is heard until it has sent as many as its chain can have.

Read in this order: sync, survey (with headers), download, bodies; then fairness, catchup, progress.
"""

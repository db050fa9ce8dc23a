"""The chain: blocks and transfers in, one best chain and its mempool in the database out.

A block comes in by `accept.Chain.accept_block` (one) or `accept_blocks` (many, each on the one before), from the API,
peers and the worker alike. It goes through these functions, and back only by return:

    accept.Intake               runs of blocks; orphans, invalid ones and known ones are concluded here
      _examine                  stages 1 to 4: `pipeline` decodes and computes, `core.rules` checks
      advance.PendingBlocks     signatures verified, leaving blocks summed up: before any transaction
        _join                   the one write transaction, where `node.store` writes
          Advance.to_best       the walk to the best chain: disconnect, connect (stage 5), condemn
          settle                the mempool after it
    outcomes                    what became of it: Extended, Reorganized, SideBranch, Orphan, AlreadyKnown

A transfer comes in by `mempool.Mempool` (by `pool_policy`); `next_block` makes an unsolved block of what waits;
`verify` proves a whole database with the same stages. `orphans` and `side_branches` bound what nobody asked for.
`tip_follower` tells the relay (`node.p2p`) and the event feed (`node.api`) how the tip moved; of a single block that
extends it the relay hears before its commit (`Chain.on_extended`).

Threads: none of its own but a pool that verifies signatures (`signatures`; the curve library releases the interpreter).
Callers come from any thread. Locks: `KeyedLock` per block that is being accepted; small ones in `orphans`,
`side_branches` and the mempool's caches. Only the `KeyedLock` is held while its holder waits for a write.

State is rows: what is kept in memory (headers by hash, decoded transfers) depends on bytes alone and is never wrong.
The rows go back only where a node of an experiment takes those of a snapshot: `Chain.went_back` forgets orphans then.

May be called by `node.p2p`, `node.api`, `node.service` and `worker`. Read: outcomes, pipeline, accept, advance, settle,
mempool, then the rest.

Weak: a branch whose signatures turn out to be missing within the transaction rolls it back and begins again
(`advance._SignaturesMissing`). Verifying when a block joins the tree would need its verdict kept as a column, since the
protocol refuses a bad signature only when the block connects.
"""

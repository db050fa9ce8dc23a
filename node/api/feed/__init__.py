"""Events for `/v1/events`: what has changed in the rows since they were last looked at, whichever process wrote it.

changes    compares: the tip with the last one, the mempool's arrivals, the peers' states; gives events in shapes
feed       `Feed`: one thread and one ring of rendered events, from which each client reads at its own pace

    commit (any process) -> Store.wait_for_change -> "feed" thread: changes -> ring -> client threads: Feed.after

The thread runs from `ApiParts.start` to `stop`. While nobody listens it follows the tip alone, for `/metrics`; the
mempool and the peers are followed from the first client until `LINGER` seconds after the last.

Locks: `_step` guards what was last seen, `_news` the ring and the clients; `_step` is taken first. A new client looks
once itself, so that it starts from the current state; the past is not sent as events. A client that the ring has left
behind is let go (`Behind`); it comes back with its last id, and gets a `reset` where events between are gone.

May be called by `node.api.parts` and `calls.v1_events`. Weak: a client costs a thread of the server for as long as it
listens.
"""

"""What the calls of one node share: work that is done once for many callers, and what is kept for the next one.

api_parts    `ApiParts`: all of it, with `http.inflight.Flights` and `feed.Feed`, as fields of one frozen object
answers      rendered answers, kept while the rows, or the main chain, are as they were
status       `GET /v1/status`, rendered once for each change of the rows
chain_cache  tips of branches, checks of the whole chain, Merkle trees
templates    the templates that mining tools were given
metrics      the figures of `/metrics`
graph_members  the nodes of the network from a graph that this node belongs to, asked how they stand
workers      what the worker and the Stratum server say of themselves, read from their files

Each part has a lock of its own, and is used by any thread. What is kept is never wrong: its key is `data_version`, the
tip's hash, or a block's hash, on which alone it depends. Threads are started by `ApiParts.start` only.

May be called by `calls` and `app`. Read: api_parts, answers, status, templates.
"""

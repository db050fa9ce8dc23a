"""The HTTP interface of a node: a request comes in, a handler is called with it parsed, an answer goes out.

The way of a request, in one thread of the server from its first byte to its last:

    granian               `node.server`: takes the connection, reads the head, finds a thread (at most `THREADS`)
    app.App.wsgi          the request is a `Flight` from here on, and waits for its turn
      http.guard          the Host, before anything else is looked at
      app._Route          the endpoint's route: method, other site, token; the query is parsed
        http.inflight     the body is read, in a place for bodies, and cut off where it comes too slowly
        http.decode       the body as the struct that the endpoint names
        http.inflight     a place of the endpoint's bound; without one the answer is 503, after a second
        calls/…           the handler: parse what the path names, call the node, return a struct
      shapes, http.errors the struct, or the exception, as JSON
    http.inflight         a large answer or a stream goes out in pieces; `Outgoing.close` ends the flight

An endpoint is a function with one line about it (`endpoint`); routes, checks and `/openapi.json` (`openapi`) come from
that line. What outlives a request is a field of `parts.api_parts.ApiParts`, made once a node: nothing is cached by node
in a module. The node itself is `node.service.Node`. `node.server` makes both, and stops them on SIGTERM.

Threads of this room: the server's; "feed" (`feed`); "doorkeeper" and "slow-clients" (`http`); "sync show"
(`sync_console`). Handlers run in many threads at once. Locks are small and each belongs to one part; none is held while
a body is read or an answer is sent. Of the two in `ApiParts`, `first_coins` is taken before `sending`.

May be called by `node.server`, `node.web` and tests. Within: app > openapi > calls > endpoint > parts > feed
> http > shapes. Read: app, endpoint, one file of `calls/` (say `v1_accounts`), then http.inflight.

Weak: the server hands out none of its sockets, so a slow client is found among this process's connections by its
address, on Linux only; and each stream holds one of the server's threads.
"""

"""What every request needs, whatever it asks: checks, bounds, and an end for those whose client is too slow.

guard        checks before anything is parsed: Host, site, token, the body's type and length
decode       JSON bodies and queries as structs; errors that name the field
errors       the errors that only HTTP has, and the one place where an exception becomes a status and a code
forwarded    `Callers`: who calls, where a proxy stands between; nothing else decides it
inflight     `Flights`: the requests under way, the places they hold, how long they took; `Outgoing`: a stream
large        a large answer in pieces
doorkeeper   `Places`: how many requests an address may have; `Doorkeeper`: how many connections
connections  this process's own TCP connections, as the kernel knows them (Linux)

Threads: "slow-clients" cuts off bodies and clients that are too slow; it begins with the first body or stream, and
sleeps while no client is waited for. "doorkeeper" looks every half second. Both only shut connections down: the
request's own thread notices and ends it. `Flights` is used by every thread. A `Flight` belongs to its request's thread,
and the watcher reads it: `enter` writes its time before its phase, so that a moment in between can't look overdue.

Nothing here knows an endpoint. May be called by the rest of `node.api`. Read: guard, errors, inflight, doorkeeper.

Weak: `connections` can't tell which request is on which connection. Where a client has several, the one that is cut may
be one that the node itself lets wait: `Flights._cut_slow` says how that is kept rare. All callers behind one proxy are
one client here, which is why a proxy should take bodies in before it passes them on.
"""

"""A node's HTTP API for Python programs, and for the command line: `from moneyer import Client` (`docs/client.md`).

    from moneyer import Client

    print(Client("http://127.0.0.1:5001").status()["height"])

In go addresses, amounts and keys; out come the API's own objects, or a `ClientError` with a sentence. It uses the
standard library's HTTP alone (it loads in a tenth of the time that others take), and of the node only `core`.

**Read** `reads` (what needs no key), `client` (what signs), `arguments` (what they may be given), `transport` (one
request, bounded in time and size), then `sse` (one stream of events), `events` (a stream that survives cuts), `walks`
(the chain as an iterator that survives reorgs), `errors`.

**Threads.** Each call runs in a daemon thread of its own while the caller waits for it until the deadline: time-outs of
sockets are between two bytes, so the deadline shuts the socket instead. An `Events` has one thread that listens and a
bounded queue; `close` from any thread ends both. A `Client` keeps no connection and may be used by several threads.

**May import** `core`; it is imported by the command line and by users' programs.

**Weak:** a thread and a connection for every call cost about a millisecond. An event stream that the node refuses for
lack of room becomes polling every five seconds.
"""

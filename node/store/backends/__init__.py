"""What belongs to one database and its driver, so that nothing else in `node.store` knows which database it is.

    statements   statements that are compiled once; they run on both
    presence     who is alive: workers, Stratum servers, and the node that speaks to others
    backend      `Backend`: what `engine.Store` and `writer.Writer` ask of a database while it is in use
    sqlite/      a file of this machine: the default
    postgres/    a server for many machines: `--database postgresql://…`; psycopg is loaded only there

`Backend` has one writer at a time among all processes, readers that see one instant each, and a watch that tells when
anybody has committed. What happens before a database is in use (schema, checks, first rows) is `node.store.opening`.
"""

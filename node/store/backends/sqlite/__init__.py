"""SQLite: a file in the data folder, for the processes of one machine.

`driver`: which SQLite library, whether its write-ahead log can be trusted, how that log is folded; no SQLAlchemy, for a
node's small main process. `engines`: `FileBackend`, SQLAlchemy's engines, copies of an open database. `doorbell`: tells
the other processes of a commit; it has a thread (see `node.store`).
"""

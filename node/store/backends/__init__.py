"""What belongs to SQLite and its driver, so that nothing else in `node.store` knows which database it is.

`driver`: which SQLite library, whether its write-ahead log can be trusted, how that log is folded; no SQLAlchemy, for a
node's small main process. `engines`: SQLAlchemy's engines, statements that are compiled once, copies of an open
database. `doorbell`: tells the other processes of a commit. The last has a thread (see `node.store`).
"""

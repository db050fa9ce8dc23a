"""What belongs to SQLite and its driver, so that nothing else in `node.store` knows which database it is.

`driver`: which SQLite library, whether its write-ahead log can be trusted; no SQLAlchemy, for a node's small main
process. `sqlite_engines`: SQLAlchemy's engines, and copies of an open database. `statements`: SQL that is compiled once
and given to the driver. `doorbell`: tells the other processes of a commit. The last has a thread (see `node.store`).
"""

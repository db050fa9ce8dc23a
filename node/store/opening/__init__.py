"""From a data folder to a database that may be served: `engine.Store.open` calls these in order.

`made` (has this folder had a chain?), `schema` (made, upgraded behind a backup, or refused; `migrate` is Alembic,
loaded only where there is something to do), `check` (whose file is it, is it whole), `genesis` (the first rows). Each
raises StoreRefused with a sentence, and leaves a file that it refuses as it was. Processes that open one folder at the
same moment are kept apart by a lock on the folder (`sqlite.driver.one_at_a_time`). No threads but one: `behind`
checks a large file whole while the node answers already; what is to be written waits for it.
"""

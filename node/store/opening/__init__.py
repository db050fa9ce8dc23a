"""From a data folder, or a server's URL, to a database that may be served: `engine.Store.open` calls these in order.

`made` (has this folder had a chain, and where?), `open_database` (a file or a server, by the configuration). A file:
`schema` (made, upgraded behind a backup, or refused; `migrate` is Alembic, loaded only where there is something to do).
A server: `server_url` (looked at before anything is started), `server_database` (can the server be relied on; its
schema made in one transaction, upgraded only where told). Both: `check` (whose database is it, is it whole), `genesis`
(the first rows).

Each raises StoreRefused with a sentence, and leaves a database that it refuses as it was. Processes that open one
folder at the same moment are kept apart by a lock on the folder (`sqlite.driver.one_at_a_time`), those that open one
server's database by an advisory lock. No threads but one: `behind` checks a large file whole while the node answers
already; what is to be written waits for it.
"""

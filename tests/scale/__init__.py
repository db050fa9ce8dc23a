"""Several processes on one database of a PostgreSQL server, as on several machines."""

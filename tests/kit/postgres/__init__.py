"""Real PostgreSQL servers for tests: one that a process of tests shares, and ones of its own for a test that breaks it.

    binaries     where the server's programs are, and as whom they run
    cluster      `PostgresServer`: a cluster of its own that can be started, stopped, killed, held still and followed
    cut_commit   a proxy that breaks a connection at its COMMIT
    databases    the shared server; a fresh database; which of the two databases a test runs on

A shared server is started when the first test asks for it, one for each process of tests: half a second and some
40 MB, in memory where the system has a file system there. All of them end with the process that started them, however
that ends. In place of the shared one `MONEYER_TEST_DATABASE` names a server, by the URL of a role that may make
databases there. Where there is no PostgreSQL, or no psycopg, tests skip and say so; with MONEYER_REQUIRE_POSTGRES=1
they fail.
"""

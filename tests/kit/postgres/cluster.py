"""`PostgresServer`: one cluster in a folder of its own, which a test may stop, kill, hold still, follow and promote."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from tests.kit.postgres.binaries import programs, server_user
from tests.kit.system.ports import free_port
from tests.kit.system.process_tree import children_of, is_gone, is_stopped, kill
from tests.kit.waiting import wait_until

if TYPE_CHECKING:
    import psycopg

ROLE = "moneyer"
"""The superuser of every cluster here; it needs no password."""
SETTINGS: Mapping[str, str | int] = {
    "wal_level": "replica",
    "max_connections": 200,
    "shared_buffers": "64MB",
    "max_wal_size": "256MB",
    "dynamic_shared_memory_type": "mmap",
    "wal_retrieve_retry_interval": "200ms",
}
"""What differs from PostgreSQL's own settings. Commits stay durable: fsync, full_page_writes, synchronous_commit.

What a killed server leaves of its shared memory is so a file of its folder, not one of /dev/shm; a replica whose
primary was away asks for it again soon.
"""
_KEEPER = """
read -r _
pid=$(head -n 1 "$1/data/postmaster.pid" 2>/dev/null)
if [ -n "$pid" ]; then
    kill -CONT "$pid" $(cat "/proc/$pid/task/$pid/children" 2>/dev/null)
    kill -QUIT "$pid"
    tries=0
    while kill -0 "$pid" && [ $tries -lt 200 ]; do sleep 0.05; tries=$((tries + 1)); done
    segment=$(sed -n '7s/^ *[0-9]*  *//p' "$1/data/postmaster.pid")
    [ -z "$segment" ] || ipcrm -m "$segment"
fi 2>/dev/null
rm -rf "$1"
"""
"""Waits until nobody holds the other end of its standard input, ends the server at once and takes its folder away.

A server that was killed has left its file, and a segment of shared memory that the file names."""


def _room() -> Path:
    """The folder in which clusters lie: in memory where a gigabyte is free there, since no test cuts the power."""
    memory = Path("/dev/shm")
    if memory.is_dir() and os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > 2**30:
        return memory
    return Path(tempfile.gettempdir())


class PostgresServer:
    """A cluster of its own: made, then `start`ed. A context manager, which ends it and takes its folder away.

    It listens on a port of loopback and on a socket in its folder, and trusts everyone who reaches it. It ends with
    the process that made it, also where that is killed.
    """

    def __init__(self, settings: Mapping[str, str | int] | None = None, room: Path | None = None) -> None:
        """`settings`: of postgresql.conf, beside SETTINGS; `room`: the folder for its folder, in memory unless told.

        Skips the test where there is no PostgreSQL.
        """
        self._prepare(room or _room())
        self._run("initdb", "--pgdata", self.data, "--no-sync", "--no-instructions", "--auth=trust",
                  "--encoding=UTF8", "--locale=C", f"--username={ROLE}")  # fmt: skip
        self._settings: dict[str, str | int] = {**SETTINGS, **(settings or {})}
        self._write_settings()

    def _prepare(self, room: Path) -> None:
        """A folder, a port, and who looks after them."""
        self._bin, self._user = programs(), server_user()
        self.folder = Path(tempfile.mkdtemp(prefix="moneyer-pg-", dir=room))
        if self._user is not None:
            os.chown(self.folder, self._user.pw_uid, self._user.pw_gid)
        self.data = self.folder / "data"
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None
        """The postmaster, where it was started and has not been seen to end."""
        self._keeper = subprocess.Popen(
            ["/bin/sh", "-c", _KEEPER, "keeper", self.folder],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            start_new_session=True,  # a Ctrl-C is for the tests
        )

    # Its life

    def start(self) -> Self:
        """Returns when it takes connections."""
        assert self.process is None, "it runs"
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [self._bin / "postgres", "-D", self.data],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                **self._as_server(),
            )
        wait_until(lambda: self._is_ready() or self._has_ended(), 60, "the server to take connections")
        assert not self._has_ended(), self.log
        return self

    def stop(self, how: int = signal.SIGINT) -> None:
        """SIGINT: as `pg_ctl stop`, which breaks what is under way; SIGTERM waits for it; SIGQUIT is a crash."""
        assert self.process is not None, "it does not run"
        self.resume()
        self.process.send_signal(how)
        self.process.wait(60)
        self.process = None

    def restart(self, how: int = signal.SIGINT) -> None:
        self.stop(how)
        self.start()

    def kill(self) -> None:
        """SIGKILL to the postmaster and all that it started; returns when they are gone."""
        assert self.process is not None, "it does not run"
        self._hold_postmaster()
        family = [self.process.pid, *children_of(self.process.pid)]
        for pid in family:
            kill(pid)
        self.process.wait(30)
        wait_until(lambda: all(map(is_gone, family)), 30, "the server's processes to be gone")
        self.process = None

    def pause(self) -> None:
        """SIGSTOP to all its processes: it keeps its connections, takes new ones, and says nothing."""
        assert self.process is not None, "it does not run"
        self._hold_postmaster()
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def close(self) -> None:
        """End it, whatever it does, and take its folder away."""
        assert self._keeper.stdin is not None
        self._keeper.stdin.close()
        if self.process is not None:
            self.process.wait(30)
        self._keeper.wait(30)

    def __enter__(self) -> Self:
        return self if self.process is not None else self.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def log(self) -> str:
        return self._log.read_text("utf-8", "replace")

    # What it is asked

    def url(self, database: str = "postgres", *, over_socket: bool = False) -> str:
        if over_socket:
            return f"postgresql://{ROLE}@/{database}?host={self.folder}&port={self.port}"
        return f"postgresql://{ROLE}@127.0.0.1:{self.port}/{database}"

    def connect(self, database: str = "postgres") -> psycopg.Connection[Any]:
        """A connection in autocommit; the caller closes it."""
        import psycopg

        return psycopg.connect(self.url(database), autocommit=True)

    def ask(self, statement: str, *values: object, database: str = "postgres") -> list[tuple[Any, ...]]:
        """Run one statement on a connection of its own; the rows, if there are any."""
        with self.connect(database) as connection:
            answer = connection.execute(statement.encode(), values or None)
            return answer.fetchall() if answer.description is not None else []

    def backends(self, database: str | None = None) -> list[int]:
        """Process ids of those that serve clients, of one database or of all, without the one that tells it."""
        rows = self.ask(
            "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() "
            "AND (%s::text IS NULL OR datname = %s)",
            *(database, database),
        )
        return [pid for (pid,) in rows]

    def terminate_backends(self, database: str | None = None) -> int:
        """End the connections of clients as an administrator does; how many there were. Returns when they are gone."""
        found = self.backends(database)
        for pid in found:
            self.ask("SELECT pg_terminate_backend(%s, 10000)", pid)
        return len(found)

    def kill_backend(self, pid: int) -> None:
        """SIGKILL to one: the server then ends all the others, and recovers. Returns once it answers again."""
        kill(pid)
        wait_until(lambda: is_gone(pid), 10, "the backend to be gone")
        self.wait_until_it_answers()

    def wait_until_it_answers(self) -> None:
        import psycopg

        def answers() -> bool:
            with suppress(psycopg.OperationalError):
                return bool(self.ask("SELECT 1"))
            return False

        wait_until(answers, 60, "the server to answer")

    def configure(self, **settings: str | int) -> None:
        """Change settings, at once where it runs. Some are for the next start only (`max_connections`, …)."""
        self._settings.update(settings)
        self._write_settings()
        if self.process is not None:
            before = self.ask("SELECT pg_conf_load_time()")
            assert self.ask("SELECT pg_reload_conf()") == [(True,)]
            wait_until(lambda: self.ask("SELECT pg_conf_load_time()") != before, 10, "the settings to be read")
            if "synchronous_standby_names" in settings:
                # Commits wait once the checkpointer has read that, too. It does so before it looks what it is asked:
                # of two checkpoints the second one is behind that, wherever it was held up.
                self.ask("CHECKPOINT")
                self.ask("CHECKPOINT")

    # Followers

    def replica(self, name: str = "replica", *, synchronous: bool = False) -> PostgresServer:
        """A started server that follows this one by streaming, with a slot of its own; the caller closes it.

        `synchronous`: from now on this one acknowledges no commit that the replica does not have on its disk.
        """
        self.ask("SELECT pg_create_physical_replication_slot(%s)", name)
        follower = PostgresServer.__new__(PostgresServer)
        follower._prepare(_room())
        follower._settings = {**self._settings}
        with ExitStack() as failing:
            failing.callback(follower.close)
            from_here = f"host=127.0.0.1 port={self.port} user={ROLE} application_name={name}"
            follower._run("pg_basebackup", "--pgdata", follower.data, "--write-recovery-conf", f"--slot={name}",
                          "--wal-method=stream", "--checkpoint=fast", "--no-sync", f"--dbname={from_here}")  # fmt: skip
            follower._settings.pop("synchronous_standby_names", None)
            follower._write_settings()
            follower.start()
            if synchronous:
                self.configure(synchronous_standby_names=f"FIRST 1 ({name})")
            wanted = "sync" if synchronous else "async"
            wait_until(lambda: self.followers().get(name) == wanted, 30, f"{name} to follow as {wanted}")
            failing.pop_all()
        return follower

    def followers(self) -> dict[str, str]:
        """Name -> sync or async, of those that stream."""
        return dict(self.ask("SELECT application_name, sync_state FROM pg_stat_replication WHERE state = 'streaming'"))

    def drop_slot(self, name: str) -> None:
        """Of a replica that was closed, or follows no more: it is in use until this server has noticed."""
        free = "SELECT 1 FROM pg_replication_slots WHERE slot_name = %s AND NOT active"
        wait_until(lambda: self.ask(free, name), 30, "the slot to be free")
        self.ask("SELECT pg_drop_replication_slot(%s)", name)

    def promote(self) -> None:
        """A replica becomes a primary; returns when it takes writes."""
        assert self.ask("SELECT pg_promote(true, 60)") == [(True,)]
        wait_until(lambda: not self.is_replica, 10, "the promotion")

    @property
    def is_replica(self) -> bool:
        return bool(self.ask("SELECT pg_is_in_recovery()")[0][0])

    def hold_replay(self) -> None:
        """A replica goes on to receive, and shows nothing new until `let_replay`."""
        self.ask("SELECT pg_wal_replay_pause()")
        wait_until(
            lambda: self.ask("SELECT pg_get_wal_replay_pause_state()") == [("paused",)], 10, "the replay to stand still"
        )

    def let_replay(self) -> None:
        self.ask("SELECT pg_wal_replay_resume()")

    def wait_for_replay(self, primary: PostgresServer) -> None:
        """Until this replica shows all that its primary has committed by now."""
        ((place,),) = primary.ask("SELECT pg_current_wal_lsn()::text")
        wait_until(
            lambda: self.ask("SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn", place) == [(True,)], 30, "the replay"
        )

    # How

    @property
    def _log(self) -> Path:
        return self.folder / "log"

    def _write_settings(self) -> None:
        fixed = {"port": self.port, "listen_addresses": "127.0.0.1", "unix_socket_directories": str(self.folder)}
        lines = [f"{name} = '{value}'\n" for name, value in {**fixed, **self._settings}.items()]
        main, ours = self.data / "postgresql.conf", self.data / "ours.conf"
        new = self.data / "ours.conf.new"
        new.write_text("".join(lines), "utf-8")
        new.chmod(0o644)
        new.replace(ours)
        include = "include = 'ours.conf'\n"
        if include not in main.read_text("utf-8"):
            with main.open("a", encoding="utf-8") as file:
                file.write(include)

    def _run(self, program: str, *arguments: str | Path) -> None:
        done = subprocess.run(
            [self._bin / program, *arguments],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            **self._as_server(),
        )
        assert done.returncode == 0, f"{program}: {done.stdout}{done.stderr}"

    def _as_server(self) -> dict[str, Any]:
        """How `subprocess` starts one of its programs."""
        env = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "LC_", "LANG"))}
        how: dict[str, Any] = {"cwd": self.folder, "env": {**env, "LC_ALL": "C"}, "start_new_session": True}
        if self._user is not None:
            how |= {"user": self._user.pw_uid, "group": self._user.pw_gid, "extra_groups": []}
        return how

    def _has_ended(self) -> bool:
        return self.process is None or self.process.poll() is not None

    def _is_ready(self) -> bool:
        """As `pg_ctl` learns it: from the eighth line of the server's own file."""
        assert self.process is not None
        try:
            lines = (self.data / "postmaster.pid").read_text("utf-8").splitlines()
        except FileNotFoundError:
            return False
        mine = lines[:1] == [str(self.process.pid)]  # that of a server that was killed may lie there
        return mine and len(lines) > 7 and lines[7].strip() in ("ready", "standby")

    def _hold_postmaster(self) -> None:
        """SIGSTOP, and wait: one that was just starting a process does that first, and none may be missed."""
        assert self.process is not None
        pid = self.process.pid
        self.process.send_signal(signal.SIGSTOP)
        wait_until(lambda: is_stopped(pid) or is_gone(pid), 10, "the postmaster to stand still")

    def _signal(self, sign: int) -> None:
        """To all its processes; the postmaster first."""
        assert self.process is not None
        for pid in (self.process.pid, *children_of(self.process.pid)):
            with suppress(ProcessLookupError):
                os.kill(pid, sign)


@contextmanager
def postgres_server(**settings: str | int) -> Iterator[PostgresServer]:
    """A server of its own for one test, started; ended behind the block."""
    with PostgresServer(settings) as server:
        yield server

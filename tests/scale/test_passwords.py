"""The password of a database's URL: processes use it, and show it nowhere."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

import psutil

from tests.kit.postgres.cluster import postgres_server
from tests.kit.postgres.own import new_database
from tests.kit.running import rich_coin
from tests.kit.waiting import wait_until
from tests.scale.machines import machines

SECRET = "pa#ss/w@rd?%: &=x"


def test_no_log_file_or_answer_has_the_password_of_the_database(tmp_path: Path) -> None:
    """Nor the title of a process, where it came by the environment; also while the server is away, and behind that."""
    with postgres_server() as server:
        server.ask(f"CREATE ROLE secret LOGIN PASSWORD '{SECRET}'")
        name = new_database(server)
        server.ask(f"ALTER DATABASE {name} OWNER TO secret")
        (server.data / "pg_hba.conf").write_text("host all secret all scram-sha-256\nhost all all all trust\n")
        server.configure(log_connections="on")
        url = f"postgresql://secret:{quote(SECRET, safe='')}@127.0.0.1:{server.port}/{name}"
        with machines(tmp_path, url, rich_coin()) as here:
            node = here.node()
            worker = here.worker("--log-level", "debug")
            pages = ("/healthz", "/metrics", "/v1/status", "/v1/mining", "/v1/blocks", "/", "/network", "/v1/network")

            def said() -> list[str]:
                return [node.get(page).body.decode("utf-8", "replace") for page in pages]

            texts = said()
            wait_until(lambda: node.get("/v1/mining").json["worker"]["alive"], 60, "the worker")
            server.kill()
            wait_until(lambda: node.get("/healthz").status == 503, 30, "the node to notice")
            assert node.get("/healthz").json["problem"].startswith("the database cannot be used")
            texts += said()
            server.start()
            wait_until(lambda: node.get("/healthz").status == 200, 30, "the node to be well again")
            texts += said()
            texts.append(" ".join(psutil.Process(worker.process.pid).cmdline()))
            texts.append(here.logs())
            texts += [path.read_text("utf-8", "replace") for path in tmp_path.rglob("*") if path.is_file()]
        for text in texts:
            assert SECRET not in text
            assert quote(SECRET, safe="") not in text

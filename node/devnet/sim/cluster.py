"""A sweep on many machines, by Dask's scheduler: each run is one task of one worker.

Dask is the extra `cluster`. Who may speak to a Dask scheduler may run anything on its workers: it belongs in a network
of one's own, or behind Dask's TLS, whose settings are read as Dask reads them. Workers have the same version of Moneyer
installed; one that has another is refused.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from tempfile import TemporaryDirectory
from typing import Any, Final

from .... import __version__
from ...core.errors import MoneyerError, quoted
from .chances import BadScenario
from .findings import Findings
from .scenario import Scenario
from .simulate import simulate

HERE: Final = "auto"
"""Workers of this machine, started for the sweep and ended after it."""
_CONNECT_SECONDS: Final = 10
_ADDRESS: Final = re.compile(r"(?:(?:tcp|tls)://)?([\w.-]+|\[[0-9a-fA-F:.]+\]):([0-9]{1,5})")


class NoCluster(MoneyerError):
    """The workers of a sweep cannot be had."""

    code = "no_cluster"


def run_on_cluster(scenarios: Sequence[Scenario], address: str, processes: int) -> Iterator[tuple[int, Findings]]:
    """(number, findings) as they come. `address`: HOST:PORT of a scheduler, or `auto` with so many `processes` here.

    Raises NoCluster, BadScenario, or the first error of a run; however it ends, no task and no process is left.
    """
    if address != HERE:
        _check_address(address)
    distributed = _distributed()
    with ExitStack() as stack:
        client = stack.enter_context(_client(distributed, stack, address, processes))
        futures: dict[Any, int] = {}
        for number, scenario in enumerate(scenarios):
            futures[client.submit(simulate, scenario, pure=False, retries=0)] = number
        stack.callback(client.cancel, list(futures))
        for future in distributed.as_completed(list(futures)):
            yield futures[future], _answer(future)


def _distributed() -> Any:
    try:
        import distributed
    except ImportError:
        raise NoCluster(
            '--workers needs Dask: pip install "moneyer[cluster]"; without it --processes runs them'
        ) from None
    return distributed


def _check_address(address: str) -> None:
    """Dask would try for long, and say less. Raises BadScenario, NoCluster."""
    named = _ADDRESS.fullmatch(address)
    if named is None or int(named[2]) > 65_535:
        raise BadScenario(f"workers must be HOST:PORT of a Dask scheduler, or auto, not {quoted(address)}")
    try:
        socket.create_connection((named[1].strip("[]"), int(named[2])), _CONNECT_SECONDS).close()
    except OSError:
        raise _nobody(address) from None


def _nobody(address: str) -> NoCluster:
    return NoCluster(f"no Dask scheduler answers at {address}: `dask scheduler` starts one, `dask worker` its workers")


def _client(distributed: Any, stack: ExitStack, address: str, processes: int) -> Any:
    if address == HERE:
        cluster = distributed.LocalCluster(
            n_workers=processes,
            threads_per_worker=1,
            host="127.0.0.1",
            dashboard_address=None,
            silence_logs=50,
            local_directory=stack.enter_context(TemporaryDirectory(prefix="moneyer-sim-", ignore_cleanup_errors=True)),
        )
        return distributed.Client(stack.enter_context(cluster))
    try:
        return distributed.Client(address, timeout=_CONNECT_SECONDS)
    except (OSError, TimeoutError):
        raise _nobody(address) from None


def _answer(future: Any) -> Findings:
    try:
        findings = future.result()
    except MoneyerError:
        raise
    except ModuleNotFoundError as error:
        raise NoCluster(f"a worker lacks a module ({error}): install moneyer {__version__} where it runs") from None
    except Exception as error:
        raise NoCluster(f"a run failed on its worker: {type(error).__name__}: {str(error)[:200]}") from error
    if not isinstance(findings, Findings) or findings.version != __version__:
        found = getattr(findings, "version", "another")
        raise NoCluster(f"a worker has moneyer {found}, and here is {__version__}: install the same everywhere")
    return findings

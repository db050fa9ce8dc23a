"""The block templates that were given out lately, so that a mining tool's solution names its template's job."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from dataclasses import dataclass, replace
from functools import cached_property
from secrets import token_bytes, token_hex
from typing import Final

from ...chain.accept import Chain
from ...chain.next_block import Template
from ...core import codec
from ...core.codec import merkle_branch, merkle_root_of_branch
from ...core.types import Coinbase, Header
from ...store.engine import Store
from ..http.errors import NotFound

_EXTRA_SIZE: Final = 16
_FRESH: Final = 2.0
"""Seconds for which a template is given out again, unless something was committed."""
_KEPT_BASES: Final = 8
_KEPT_JOBS: Final = 256


@dataclass(frozen=True, eq=False)
class TemplateBase:
    """A template whose coinbase pays nobody yet."""

    number: int
    version: int
    """`data_version` that it fits."""
    built: float
    template: Template

    @cached_property
    def branch(self) -> list[bytes]:
        # The coinbase's own place plays no part in its branch.
        return merkle_branch([bytes(32), *self.template.txids], 0)


@dataclass(frozen=True)
class TemplateJob:
    base: TemplateBase
    coinbase: Coinbase

    def header(self, extra: bytes | None = None) -> tuple[Coinbase, Header]:
        """The coinbase with that `extra`, and the header that goes with it."""
        coinbase = self.coinbase if extra is None else replace(self.coinbase, extra=extra)
        root = merkle_root_of_branch(codec.txid(coinbase), 0, self.base.branch)
        return coinbase, replace(self.base.template.block.header, merkle_root=root)


class Templates:
    """The templates given out lately, so that a solution need not repeat them."""

    def __init__(self, store: Store, chain: Chain) -> None:
        self._store = store
        self._chain = chain
        self._lock = threading.Lock()
        """Held to read and change what is kept, not to build: a solution waits for no template."""
        self._building = threading.Lock()
        self._bases: OrderedDict[int, TemplateBase] = OrderedDict()
        self._jobs: OrderedDict[str, TemplateJob] = OrderedDict()

    def make(self, receiver: bytes) -> tuple[str, TemplateJob]:
        """A new job that pays `receiver`. Raises NoTimestamp or StoreUnavailable."""
        base = self.base()
        with self._lock:
            paid = base.template.block.transactions[0]
            assert isinstance(paid, Coinbase)  # noqa: S101 - every template begins with one
            job = TemplateJob(base, Coinbase(paid.height, receiver, paid.amount, token_bytes(_EXTRA_SIZE)))
            job_id = token_hex(8)
            self._jobs[job_id] = job
            if len(self._jobs) > _KEPT_JOBS:
                self._jobs.popitem(last=False)
            return job_id, job

    def base(self) -> TemplateBase:
        """The next block as it would be mined now, paying nobody. Raises NoTimestamp or StoreUnavailable."""
        base = self._fresh()
        if base is None:
            # Callers that come meanwhile want the same one, and get it.
            with self._building:
                base = self._fresh() or self._build()
        return base

    def find(self, job_id: str) -> TemplateJob:
        """Raises NotFound."""
        with self._lock:
            job = self._jobs.get(job_id)
        if job is None:
            raise NotFound("there is no such job, or no longer: ask for a new template", job=job_id)
        return job

    def forget(self) -> None:
        """The rows are those of a snapshot: no job of before stands on any of them."""
        with self._building, self._lock:
            self._bases.clear()
            self._jobs.clear()

    def _newest(self) -> TemplateBase | None:
        with self._lock:
            return next(reversed(self._bases.values()), None)

    def _fresh(self) -> TemplateBase | None:
        """The newest template, if nothing was committed since."""
        version, newest = self._store.data_version(), self._newest()
        if newest is not None and newest.version == version and time.monotonic() - newest.built < _FRESH:
            return newest
        return None

    def _build(self) -> TemplateBase:
        version, now, newest = self._store.data_version(), time.monotonic(), self._newest()
        template = self._chain.template(bytes(33), int(time.time()), bytes(_EXTRA_SIZE))
        base = TemplateBase(newest.number + 1 if newest else 0, version, now, template)
        with self._lock:
            self._bases[base.number] = base
            if len(self._bases) > _KEPT_BASES:
                _, old = self._bases.popitem(last=False)
                self._jobs = OrderedDict((name, job) for name, job in self._jobs.items() if job.base is not old)
        return base

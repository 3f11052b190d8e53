"""One thread that does all of a database's work, a batch at a time: group commit."""

import asyncio
import contextlib
import queue
import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Hashable, Iterator, Mapping
from itertools import chain
from typing import Any, NamedTuple

Work = Callable[[sqlite3.Connection], Any]


class _Job(NamedTuple):
    """Something to do, and who waits for it. ``what`` is JSON for the bulk statement, else a function."""

    what: Any
    done: asyncio.Future[Any]


_Result = tuple[_Job, Any, Exception | None]


class _Batch:
    """What one commit does, and the reads that follow it."""

    def __init__(self) -> None:
        self.bulk: dict[str, list[_Job]] = {}
        self.writes: list[_Job] = []
        self.reads: list[_Job] = []
        self.keys: set[Hashable] = set()

    def jobs(self) -> Iterator[_Job]:
        """Yield every job that writes."""
        for jobs in self.bulk.values():
            yield from jobs
        yield from self.writes

    def alone(self) -> "Iterator[_Batch]":
        """Yield each job that writes, in a batch of its own."""
        for kind, jobs in self.bulk.items():
            for job in jobs:
                single = _Batch()
                single.bulk[kind] = [job]
                yield single
        for job in self.writes:
            single = _Batch()
            single.writes.append(job)
            yield single

    def arrays(self) -> dict[str, str]:
        """Return the JSON array of each kind of bulk job."""
        return {kind: f"[{','.join(job.what for job in jobs)}]" for kind, jobs in self.bulk.items()}


class DatabaseThread:
    """Does what the event loop asks for: what arrives while a batch commits makes up the next one.

    ``connect`` opens the database, ``failure`` translates what it raises. ``bulk`` is a statement that does many jobs
    at once: it takes a JSON array of them for each kind of job, named as in ``nothing``. Each statement costs two
    exchanges of the interpreter's lock with the event loop: with one per job they took a quarter of its time.

    Every answer comes after the commit. Jobs of a batch are independent of each other; those of one ``key`` are in
    different batches, in the order in which they were asked for.
    """

    def __init__(
        self,
        connect: Callable[[], sqlite3.Connection],
        failure: Callable[[Exception], Exception],
        *,
        bulk: str,
        nothing: Mapping[str, None],
    ) -> None:
        self._connect = connect
        self._failure = failure
        self._bulk = bulk
        self._nothing = nothing
        self._batches: queue.SimpleQueue[_Batch | None] = queue.SimpleQueue()
        self._waiting = deque([_Batch()])
        self._busy = False

    async def start(self) -> None:
        """Open the database; raises what ``connect`` raises."""
        self._loop = asyncio.get_running_loop()
        opened: asyncio.Future[None] = self._loop.create_future()
        self._thread = threading.Thread(target=self._run, args=(opened,), name="database", daemon=True)
        self._thread.start()
        await opened

    async def stop(self) -> None:
        """Finish what was asked for, and close the database."""
        await self.read(lambda _: None)  # answered after everything before it
        self._batches.put(None)
        await asyncio.to_thread(self._thread.join)

    # -- the event loop's side

    def bulk(self, kind: str, job: str, *, key: Hashable = None) -> asyncio.Future[None]:
        """Have a ``job``, in JSON, done by the bulk statement."""
        batch = self._waiting[-1]
        if key is not None:
            if key in batch.keys:
                batch = _Batch()
                self._waiting.append(batch)
            batch.keys.add(key)
        return self._ask(batch.bulk.setdefault(kind, []), job)

    def write(self, work: Work) -> asyncio.Future[Any]:
        """Have ``work`` done in a transaction."""
        return self._ask(self._waiting[-1].writes, work)

    def read(self, work: Work) -> asyncio.Future[Any]:
        """Have ``work`` done after the writes that were asked for before."""
        return self._ask(self._waiting[-1].reads, work)

    def _ask(self, jobs: list[_Job], what: object) -> asyncio.Future[Any]:
        if not self._busy:
            # Not before the event loop has gone round: what other turns ask for meanwhile comes along.
            self._busy = True
            self._loop.call_soon(self._hand_over)
        job = _Job(what, self._loop.create_future())
        jobs.append(job)
        return job.done

    def _hand_over(self) -> None:
        self._batches.put(self._waiting.popleft())
        if not self._waiting:
            self._waiting.append(_Batch())

    def _settle(self, results: list[_Result]) -> None:
        for job, result, error in results:
            if not job.done.done():  # who asked may have left
                if error:
                    job.done.set_exception(error)
                else:
                    job.done.set_result(result)
        batch = self._waiting[0]
        self._busy = bool(batch.bulk or batch.writes or batch.reads)
        if self._busy:
            self._hand_over()

    # -- the thread's side

    def _run(self, opened: asyncio.Future[None]) -> None:
        try:
            connection = self._connect()
        except Exception as error:  # noqa: BLE001  # it goes to who started
            self._loop.call_soon_threadsafe(opened.set_exception, error)
            return
        self._loop.call_soon_threadsafe(opened.set_result, None)
        while batch := self._batches.get():
            results = self._commit(connection, batch)
            results += [self._attempt(connection, job) for job in batch.reads]
            self._loop.call_soon_threadsafe(self._settle, results)
        connection.close()

    def _commit(self, connection: sqlite3.Connection, batch: _Batch) -> list[_Result]:
        """Do a batch in one transaction; if it fails, each job in one of its own, so that one fault fails one job."""
        jobs = list(batch.jobs())
        if not jobs:
            return []
        try:
            if batch.writes:
                connection.execute("BEGIN")
            if batch.bulk:
                connection.execute(self._bulk, {**self._nothing, **batch.arrays()})
            results: list[_Result] = [(job, job.what(connection), None) for job in batch.writes]
            if batch.writes:
                connection.execute("COMMIT")
            results += [(job, None, None) for job in chain.from_iterable(batch.bulk.values())]
        except Exception as error:  # noqa: BLE001  # it goes to who asked
            if connection.in_transaction:
                with contextlib.suppress(sqlite3.Error):
                    connection.execute("ROLLBACK")
            if len(jobs) > 1:
                return [result for single in batch.alone() for result in self._commit(connection, single)]
            return [(jobs[0], None, self._failure(error))]
        return results

    def _attempt(self, connection: sqlite3.Connection, job: _Job) -> _Result:
        try:
            return job, job.what(connection), None
        except Exception as error:  # noqa: BLE001  # it goes to who asked
            return job, None, self._failure(error)

"""Single requests from many threads or coroutines, joined into batches."""

import asyncio
import atexit
import os
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Future
from typing import Any, Generic, NamedTuple, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class Full(Exception):
    """More requests wait than the queue holds: ask again later, or with fewer at once."""


class Closed(RuntimeError):
    """The batcher takes no more requests."""


class _Request(NamedTuple):
    item: Any
    future: "Future[Any]"
    since: float  # s, by the monotonic clock, when it was asked


class MicroBatcher(Generic[Item, Result]):
    """Joins requests that come one by one into calls of `handle(items) -> results`, one result an item, in order.

    Any thread may `submit` or call it, any coroutine may await `asubmit`, which never blocks its event loop. A batch
    starts as soon as `max_batch` requests wait, or `max_wait_s` after the first of them could have been handled; the
    next one gathers meanwhile. At most `max_queue` requests wait: one more raises Full. Only items of equal `key` share
    a call of `handle`; where that raises, its items are tried one by one, so that an error reaches only the caller that
    it belongs to. A caller that gives up loses nothing for the others.

    A forked child has a batcher of its own, open and empty: what its parent asked, its parent is told. It is a context
    manager; `close` answers what waits. One that nobody closed ends with the program, and then answers nothing more.
    """

    _waiting: deque[_Request]
    _worker: threading.Thread | None

    def __init__(
        self,
        handle: Callable[[list[Item]], Sequence[Result]],
        *,
        key: Callable[[Item], Hashable] = lambda item: None,
        max_batch: int = 64,
        max_wait_s: float = 0.01,
        max_queue: int = 4096,
        waited: Callable[[Result, float], Result] = lambda result, seconds: result,
    ) -> None:
        """`waited(result, s)` is the result as its caller gets it, who waited so long before it was handled."""
        if max_batch < 1 or max_queue < 1:
            raise ValueError(f"max_batch and max_queue must be at least 1; got {max_batch} and {max_queue}.")
        if not 0 <= max_wait_s < 3600:
            raise ValueError(f"max_wait_s is a time in seconds, from 0 to an hour; got {max_wait_s}.")
        self._handle, self._key, self._most, self._wait_s, self._room = handle, key, max_batch, max_wait_s, max_queue
        self._waited = waited
        self._closed = False
        self._begin()
        _ALIVE.add(self)

    def submit(self, item: Item) -> "Future[Result]":
        """A future of the item's result. Raises Full or Closed."""
        future: Future[Result] = Future()
        with self._changed:
            if self._closed:
                raise Closed("This batcher is closed: make another one.")
            if len(self._waiting) >= self._room:
                raise Full(f"{self._room} requests wait already (max_queue): ask again later, or with fewer at once.")
            self._waiting.append(_Request(item, future, time.monotonic()))
            if self._worker is None:
                self._worker = threading.Thread(target=self._work, name="worldverify-microbatch", daemon=True)
                self._worker.start()
            self._changed.notify()
        return future

    def __call__(self, item: Item) -> Result:
        """The item's result. It blocks this thread: in an event loop await `asubmit`."""
        return self.submit(item).result()

    async def asubmit(self, item: Item) -> Result:
        """The item's result; the event loop goes on meanwhile."""
        return await asyncio.wrap_future(self.submit(item))

    def close(self) -> None:
        """Answer what waits, and take no more."""
        with self._changed:
            self._closed, worker = True, self._worker
            self._changed.notify()
        if worker is not None and worker is not threading.current_thread():
            worker.join()

    def __enter__(self) -> "MicroBatcher[Item, Result]":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _begin(self) -> None:
        """An empty queue; its worker starts with the first request."""
        self._waiting = deque()
        self._changed = threading.Condition()
        self._worker = None

    def _abandon(self) -> None:
        """The program ends: whoever waits still is told so."""
        with self._changed:
            left = list(self._waiting)
            self._waiting.clear()
        for request in left:
            request.future.cancel()
        self.close()

    def _work(self) -> None:
        while batch := self._gather():
            groups: dict[Hashable, list[_Request]] = {}
            for request in batch:
                try:
                    groups.setdefault(self._key(request.item), []).append(request)
                except Exception as error:  # an item that cannot be sorted in
                    request.future.set_exception(error)
            for group in groups.values():
                self._answer(group)

    def _gather(self) -> list[_Request]:
        """The next batch; nothing once the batcher is closed and all is answered."""
        with self._changed:
            while True:
                while not self._waiting:
                    if self._closed:
                        return []
                    self._changed.wait()
                due = time.monotonic() + self._wait_s
                while len(self._waiting) < self._most and not self._closed and (left := due - time.monotonic()) > 0:
                    self._changed.wait(left)
                taken = [self._waiting.popleft() for _ in range(min(self._most, len(self._waiting)))]
                if batch := [request for request in taken if request.future.set_running_or_notify_cancel()]:
                    return batch  # without those that have given up

    def _answer(self, batch: list[_Request]) -> None:
        began = time.monotonic()
        try:
            results = list(self._handle([request.item for request in batch]))
            if len(results) != len(batch):
                raise RuntimeError(f"{len(batch)} requests got {len(results)} results; each needs one.")
            results = [self._waited(one, began - request.since) for request, one in zip(batch, results, strict=True)]
        except BaseException as error:  # a caller that is told nothing would wait for ever
            if len(batch) == 1:
                batch[0].future.set_exception(error)
            else:
                for request in batch:
                    self._answer([request])
            return
        for request, result in zip(batch, results, strict=True):
            request.future.set_result(result)


_ALIVE: "weakref.WeakSet[MicroBatcher[Any, Any]]" = weakref.WeakSet()


def _in_a_forked_child() -> None:
    """Its parent's worker is not here, and a lock of its parent may be held by nobody."""
    for batcher in list(_ALIVE):
        batcher._begin()


def _at_exit() -> None:
    """A thread in the midst of a simulation must not outlive the interpreter."""
    for batcher in list(_ALIVE):
        batcher._abandon()


os.register_at_fork(after_in_child=_in_a_forked_child)
atexit.register(_at_exit)

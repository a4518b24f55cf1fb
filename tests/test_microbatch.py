"""Single requests joined into batches: nobody waits for ever, nobody gets another's answer."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor

import pytest

from worldverify.microbatch import Closed, Full, MicroBatcher

PATIENCE = 30.0  # s after which a test gives up; nothing here needs it


class Slow:
    """A handler that doubles numbers; it lets nothing out before it is told to."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.begun, self.go = threading.Semaphore(0), threading.Semaphore(0)

    def __call__(self, items: list[int]) -> list[int]:
        self.batches.append(items)
        self.begun.release()
        assert self.go.acquire(timeout=PATIENCE)
        return [2 * item for item in items]

    def busy(self, batcher: MicroBatcher[int, int]) -> "Future[int]":
        """A first request, which is being handled when this returns."""
        first = batcher.submit(0)
        assert self.begun.acquire(timeout=PATIENCE)
        return first


@pytest.fixture
def slow() -> Iterator[Slow]:
    handler = Slow()
    yield handler
    handler.go.release(1000)


def test_each_of_many_threads_gets_its_own_answer() -> None:
    with MicroBatcher(lambda items: [2 * i for i in items], max_batch=7) as batcher, ThreadPoolExecutor(32) as pool:
        assert list(pool.map(batcher, range(500))) == [2 * i for i in range(500)]


def test_what_comes_while_a_batch_runs_is_handled_together(slow: Slow) -> None:
    with MicroBatcher(slow, max_wait_s=0) as batcher:
        first = slow.busy(batcher)
        later = [batcher.submit(i) for i in range(1, 6)]
        slow.go.release(2)
        assert [f.result(PATIENCE) for f in [first, *later]] == [0, 2, 4, 6, 8, 10]
    assert slow.batches == [[0], [1, 2, 3, 4, 5]]


def test_each_caller_is_told_how_long_it_waited(slow: Slow) -> None:
    waits: dict[int, float] = {}

    def waited(result: int, seconds: float) -> int:
        waits[result] = seconds
        return result

    with MicroBatcher(slow, max_wait_s=0, waited=waited) as batcher:
        first = slow.busy(batcher)
        early = batcher.submit(1)
        time.sleep(0.05)
        late = batcher.submit(2)
        slow.go.release(2)
        assert [f.result(PATIENCE) for f in (first, early, late)] == [0, 2, 4]
    assert waits[2] >= waits[4] + 0.05 and min(waits.values()) >= 0


def test_no_batch_is_larger_than_the_largest(slow: Slow) -> None:
    with MicroBatcher(slow, max_batch=2, max_wait_s=0) as batcher:
        futures = [slow.busy(batcher)] + [batcher.submit(i) for i in range(1, 6)]
        slow.go.release(4)
        assert [f.result(PATIENCE) for f in futures] == [0, 2, 4, 6, 8, 10]
    assert slow.batches == [[0], [1, 2], [3, 4], [5]]


def test_a_full_batch_does_not_wait_for_more() -> None:
    with MicroBatcher(lambda items: items, max_batch=2, max_wait_s=3000) as batcher:
        assert [f.result(PATIENCE) for f in [batcher.submit(1), batcher.submit(2)]] == [1, 2]


def test_only_items_of_equal_key_share_a_call(slow: Slow) -> None:
    with MicroBatcher(slow, key=lambda item: item % 2, max_wait_s=0) as batcher:
        futures = [slow.busy(batcher)] + [batcher.submit(i) for i in range(1, 6)]
        slow.go.release(3)
        assert [f.result(PATIENCE) for f in futures] == [0, 2, 4, 6, 8, 10]
    assert slow.batches == [[0], [1, 3, 5], [2, 4]]


def test_an_error_reaches_only_the_caller_it_belongs_to() -> None:
    gate = threading.Event()

    def inverse(items: list[int]) -> list[float]:
        assert gate.wait(PATIENCE)
        return [1 / item for item in items]

    with MicroBatcher(inverse, max_wait_s=0) as batcher:
        futures = [batcher.submit(i) for i in (1, 2, 0, 4)]
        gate.set()
        assert [f.result(PATIENCE) for f in (futures[0], futures[1], futures[3])] == [1.0, 0.5, 0.25]
        with pytest.raises(ZeroDivisionError):
            futures[2].result(PATIENCE)


def test_an_item_that_has_no_key_hurts_no_other() -> None:
    with MicroBatcher(lambda items: items, key=lambda item: {item: 1}[1]) as batcher:
        good, bad = batcher.submit(1), batcher.submit(2)
        assert good.result(PATIENCE) == 1
        with pytest.raises(KeyError):
            bad.result(PATIENCE)


def test_a_handler_that_forgets_an_answer_is_told_to_its_callers() -> None:
    with MicroBatcher(lambda items: [], max_batch=2) as batcher:
        for future in (batcher.submit(1), batcher.submit(2)):
            with pytest.raises(RuntimeError, match="1 requests got 0 results"):
                future.result(PATIENCE)


def test_a_queue_has_an_end(slow: Slow) -> None:
    with MicroBatcher(slow, max_queue=3, max_wait_s=0) as batcher:
        futures = [slow.busy(batcher)] + [batcher.submit(i) for i in (1, 2, 3)]
        with pytest.raises(Full, match="3 requests wait already"):
            batcher.submit(4)
        slow.go.release(2)
        assert [f.result(PATIENCE) for f in futures] == [0, 2, 4, 6]
        slow.go.release()
        assert batcher(5) == 10


def test_who_has_given_up_is_not_waited_for(slow: Slow) -> None:
    with MicroBatcher(slow, max_wait_s=0) as batcher:
        first, gone, last = slow.busy(batcher), batcher.submit(1), batcher.submit(2)
        assert gone.cancel()
        slow.go.release(2)
        assert (first.result(PATIENCE), last.result(PATIENCE)) == (0, 4)
    assert slow.batches == [[0], [2]]


def test_an_event_loop_goes_on_while_it_waits(slow: Slow) -> None:
    async def beat() -> None:
        assert await asyncio.to_thread(slow.begun.acquire, timeout=PATIENCE)
        for _ in range(100):
            await asyncio.sleep(0)
        slow.go.release()  # reached only if nothing holds up the loop

    async def ask(batcher: MicroBatcher[int, int]) -> int:
        answer, _ = await asyncio.gather(batcher.asubmit(21), beat())
        return answer

    with MicroBatcher(slow) as batcher:
        assert asyncio.run(ask(batcher)) == 42


def test_a_coroutine_that_is_cancelled_hurts_no_other(slow: Slow) -> None:
    async def ask(batcher: MicroBatcher[int, int]) -> list[int | BaseException]:
        tasks = [asyncio.create_task(batcher.asubmit(i)) for i in range(3)]
        assert await asyncio.to_thread(slow.begun.acquire, timeout=PATIENCE)
        tasks[1].cancel()  # while it is being handled
        slow.go.release()
        return await asyncio.gather(*tasks, return_exceptions=True)

    with MicroBatcher(slow, max_batch=3, max_wait_s=100) as batcher:
        first, gone, last = asyncio.run(ask(batcher))
    assert (first, last) == (0, 4) and isinstance(gone, asyncio.CancelledError)


def test_closing_answers_what_waits_and_takes_no_more(slow: Slow) -> None:
    batcher = MicroBatcher(slow, max_wait_s=0)
    futures = [slow.busy(batcher), batcher.submit(1)]
    slow.go.release(2)
    batcher.close()
    batcher.close()
    assert [f.result(0) for f in futures] == [0, 2]
    with pytest.raises(Closed, match="make another one"):
        batcher.submit(2)


@pytest.mark.filterwarnings("ignore:This process.*is multi-threaded:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:os.fork:RuntimeWarning")  # of JAX, where another test has imported it
def test_a_forked_child_has_a_batcher_of_its_own(slow: Slow) -> None:
    with MicroBatcher(slow, max_wait_s=0) as batcher:
        futures = [slow.busy(batcher), batcher.submit(1)]
        with batcher._changed:  # as if another thread were submitting at that moment
            child = os.fork()
            if child == 0:
                signal.alarm(int(PATIENCE))
                slow.go.release()
                os._exit(7 if batcher.submit(3).result() == 6 else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
        slow.go.release(2)
        assert [f.result(PATIENCE) for f in futures] == [0, 2]


def test_a_program_ends_although_nobody_closed_its_batcher() -> None:
    program = """
import threading, time
from worldverify.microbatch import MicroBatcher
begun = threading.Event()
def handle(items):
    begun.set()
    time.sleep(0.05)
    return items
batcher = MicroBatcher(handle, max_batch=1)
futures = [batcher.submit(i) for i in range(1000)]
begun.wait()
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=PATIENCE)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_who_waits_when_the_program_ends_is_told(slow: Slow) -> None:
    batcher = MicroBatcher(slow, max_wait_s=0)
    first, waiting = slow.busy(batcher), batcher.submit(1)
    slow.go.release()
    batcher._abandon()
    assert first.result(0) == 0
    with pytest.raises(CancelledError):
        waiting.result(0)


@pytest.mark.parametrize(
    "wrong", [{"max_batch": 0}, {"max_queue": 0}, {"max_wait_s": -1}, {"max_wait_s": float("nan")}]
)
def test_limits_that_make_no_sense_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        MicroBatcher(lambda items: items, **wrong)  # type: ignore[arg-type]

"""The threads shared out: a task whose functions never return leaves enough of them to the others."""

import threading
from concurrent.futures import wait

import pytest
from hypothesis import given
from hypothesis import strategies as st

from later_core.engine.shares import Shares

SECONDS = 30


class Blocking:
    """Calls that stay until they are let go, and how many of them have begun."""

    def __init__(self):
        self.let_go = threading.Event()
        self.begun = threading.Semaphore(0)

    def __call__(self):
        self.begun.release()
        self.let_go.wait(SECONDS)

    def await_begun(self, count):
        for _ in range(count):
            assert self.begun.acquire(timeout=SECONDS)


@pytest.fixture
def blocking():
    calls = Blocking()
    yield calls
    calls.let_go.set()


@pytest.mark.parametrize(("limit", "taken"), [(1, 1), (2, 1), (4, 3), (8, 6), (40, 30)])
def test_a_task_that_never_returns_takes_three_quarters_and_no_more(blocking, limit, taken):
    with Shares(limit=limit) as threads:
        stuck = [threads.of("stuck").submit(blocking) for _ in range(2 * limit)]
        blocking.await_begun(taken)
        # Had it been lent more threads, these would have begun within that very submit.
        assert sum(future.running() for future in stuck) <= taken
        assert not blocking.begun.acquire(blocking=False)
        blocking.let_go.set()
        assert not wait(stuck, SECONDS).not_done


def test_others_run_while_one_task_holds_all_that_it_may(blocking):
    with Shares(limit=8) as threads:
        stuck = [threads.of("stuck").submit(blocking) for _ in range(100)]
        blocking.await_begun(6)
        for n in range(200):
            assert threads.of("sound").submit(lambda n=n: n).result(SECONDS) == n
        also = Blocking()
        held = [threads.of("also").submit(also) for _ in range(100)]
        also.await_begun(1)
        assert threads.of("sound").submit(str, 7).result(SECONDS) == "7"
        blocking.let_go.set()
        also.let_go.set()
        assert not wait([*stuck, *held], SECONDS).not_done


def test_a_call_that_is_cancelled_while_it_waits_takes_no_thread(blocking):
    with Shares(limit=1) as threads:
        first = threads.of("a").submit(blocking)
        blocking.await_begun(1)
        ran = []
        second = threads.of("a").submit(ran.append, 2)
        assert second.cancel()
        blocking.let_go.set()
        assert first.result(SECONDS) is None
        assert threads.of("a").submit(str, 3).result(SECONDS) == "3"
        assert ran == []


def test_what_is_raised_reaches_whoever_waits_and_frees_the_thread():
    with Shares(limit=1) as threads:
        for _ in range(3):
            with pytest.raises(ZeroDivisionError):
                threads.of("a").submit(lambda: 1 / 0).result(SECONDS)
        assert threads.of("b").submit(str, 1).result(SECONDS) == "1"


@given(limit=st.integers(1, 6), tasks=st.lists(st.sampled_from("abcd"), max_size=40))
def test_every_call_runs_and_never_more_at_once_than_there_are_threads(limit, tasks):
    lock, running, most = threading.Lock(), [0], [0]

    def call(task):
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        with lock:
            running[0] -= 1
        return task

    with Shares(limit=limit) as threads:
        futures = [threads.of(task).submit(call, task) for task in tasks]
        assert [future.result(SECONDS) for future in futures] == tasks
    assert most[0] <= limit

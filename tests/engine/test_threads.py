"""The threads of plain functions: bounded, reused, and no hindrance to the end of the process."""

import subprocess
import sys
import threading

import pytest

from later_core.engine.threads import Threads


def test_answers_and_errors_reach_whoever_waits():
    threads = Threads(limit=2)
    try:
        assert threads.submit(lambda a, *, b: a + b, 1, b=2).result(5) == 3
        with pytest.raises(SystemExit):
            threads.submit(sys.exit).result(5)
        assert threads.submit(int, "7").result(5) == 7
    finally:
        threads.shutdown()


def test_no_more_run_at_once_than_the_limit():
    threads = Threads(limit=3)
    release, entered = threading.Event(), threading.Semaphore(0)

    def stay():
        entered.release()
        release.wait(5)
        return threading.current_thread().name

    try:
        futures = [threads.submit(stay) for _ in range(9)]
        for _ in range(3):
            assert entered.acquire(timeout=5)
        assert not entered.acquire(blocking=False)
        release.set()
        assert len({future.result(5) for future in futures}) <= 3
    finally:
        threads.shutdown()


def test_what_is_cancelled_before_its_turn_never_runs():
    threads, release = Threads(limit=1), threading.Event()
    ran = []
    try:
        first = threads.submit(release.wait, 5)
        second = threads.submit(ran.append, 2)
        assert second.cancel()
        release.set()
        assert first.result(5)
        threads.submit(int).result(5)
        assert ran == []
    finally:
        threads.shutdown()


def test_a_function_without_end_does_not_keep_the_process_alive():
    program = """
import threading
from later_core.engine.threads import Threads
begun = threading.Event()
def endless():
    begun.set()
    threading.Event().wait()
threads = Threads(limit=1)
threads.submit(endless)
begun.wait(5)
threads.shutdown(wait=False, cancel_futures=True)
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=20)

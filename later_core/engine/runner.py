"""One attempt: hold until due, call, outcome, end, callback. Owns the running tasks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Self

import structlog

from later_core.engine.admission import Admission
from later_core.engine.deadlines import Deadlines
from later_core.engine.finisher import Finisher
from later_core.engine.holder import Holder
from later_core.engine.invocation import Invocation
from later_core.engine.shares import Shares
from later_core.engine.telling import Telling
from later_core.engine.under_way import UnderWay
from later_core.errors import StoreUnavailable
from later_core.local.database_clock import DatabaseClock
from later_core.local.lease import Lease
from later_core.local.runs import Run, Runs, Stop
from later_core.model.instance import Instance, InstanceError
from later_core.model.outcome import Ending, Failed, HandedBack, Outcome
from later_core.model.state import State
from later_core.plugin.context import Context
from later_core.ports.clock import Clock
from later_core.ports.tasks import Tasks

_log = structlog.get_logger(__name__)

#: How long what runs may take to end each time it is told to, at shutdown, in seconds.
_PATIENCE = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """How many threads there are for plain functions, and how long attempts may take, by task."""

    threads: int
    time_limits: Mapping[str, timedelta]


class Runner:
    """Runs what the dispatcher claims, each attempt in an asyncio task of its own.

    The steps of an attempt: hold until its execution time; refuse it if that is too long ago; call
    the task's code under its timeout; make an outcome of what happened; write the end; call the
    callback once that is durable. An attempt may be stopped during hold and call, never while its
    end is written.
    """

    def __init__(
        self,
        *,
        runs: Runs,
        tasks: Tasks,
        finisher: Finisher,
        lease: Lease,
        admission: Admission,
        clock: Clock,
        database_clock: DatabaseClock,
        bounds: Bounds,
        telling: Telling,
    ) -> None:
        self._runs = runs
        self._tasks = tasks
        self._finisher = finisher
        self._lease = lease
        self._admission = admission
        self._means = admission.means
        self._clock = clock
        self._database_clock = database_clock
        self._telling = telling
        self._threads = Shares(limit=bounds.threads)
        self._invocation = Invocation(self._threads)
        self.holder = Holder(clock=clock, database_clock=database_clock, begin=self._start_due)
        self.deadlines = Deadlines(clock, time_limits=bounds.time_limits)
        self._under_way = UnderWay()
        self.name_of = self._under_way.name_of
        #: When the code of each run began, by key, in milliseconds since the Unix epoch by the
        #: database's clock; read by the recorder of long runs.
        self.began: dict[tuple[str, int], float] = {}

    async def __aenter__(self) -> Self:
        await self._under_way.__aenter__()
        return self

    async def __aexit__(self, *failure: object) -> None:
        """Wait for every attempt; ``drain`` first, or this may take as long as the tasks do.

        Code on the event loop that ignores every cancellation holds this up for ever.
        """
        await self._under_way.__aexit__()
        self._threads.shutdown()

    def start(self, run: Run) -> None:
        """Carry a claimed attempt from its execution time on. Never waits."""
        self.holder.hold(run)

    def _start_due(self, run: Run) -> None:
        run.task = self._under_way.begin(self._carry(run), run.instance)

    async def drain(self, grace: timedelta) -> None:
        """Let the running finish within the grace, then stop them; what is not begun goes back at once.

        What has not ended a while after that is cancelled, be it a callback, code that goes on
        after its first cancellation, or an end that waits for the database.
        """
        for run in self._runs:
            if run.key not in self.began:
                run.stop(Stop.SHUTDOWN)
        if await self._clock.wait(self._under_way.is_quiet, grace.total_seconds()):
            return
        _log.warning("grace is over", running=len(self._under_way))
        self._finisher.give_up_after(2.0)
        self._runs.stop_all(Stop.SHUTDOWN)
        if await self._clock.wait(self._under_way.is_quiet, _PATIENCE):
            return
        _log.warning("what still runs is cancelled", running=self._under_way.names())
        self._under_way.cancel()
        if not await self._clock.wait(self._under_way.is_quiet, _PATIENCE):
            _log.error("tasks ignore their cancellation", running=self._under_way.names())

    async def call_back_aborted(self) -> None:
        """Loop: ``on_abort`` for instances that were aborted before they ran."""
        while True:
            await self._runs.has_aborted.wait()
            for instance in self._runs.take_aborted():
                self._under_way.begin(
                    self._on_abort(instance, self._context(instance, instance.timeout)), instance
                )

    async def _carry(self, run: Run) -> None:
        instance = run.instance
        run.timeout = self.deadlines.timeout_of(instance)
        context = run.context = self._context(instance, run.timeout)
        try:
            outcome = await self._attempt(run, context)
            start_ms = self.began.get(run.key)
            if start_ms is not None:
                self._means.note_outcome(run, outcome)
            ending = None
            if run.stop_reason is not Stop.ABORTED:
                ending = await self._finisher.finish(instance, outcome, start_ms=start_ms)
                # The feed tells of an abort elsewhere too, perhaps only after this run is gone.
                if ending is None and await self._finisher.was_aborted(instance):
                    run.stop_reason = Stop.ABORTED
            self._telling.ended(run, ending)
            await self._call_back(run, context, ending)
        except StoreUnavailable as error:
            _log.error("end not written", instance=instance.id, detail=error.detail)
        except Exception:  # noqa: BLE001 - one attempt must never end the node
            _log.exception("end not written", instance=instance.id, attempt=instance.attempt)
        finally:
            self.began.pop(run.key, None)
            self._runs.remove(run)
            self._release(run)

    def _release(self, run: Run) -> None:
        """Give back what it was admitted with, but what code holds that goes on in a thread."""
        permit, run.permit = run.permit, None
        slot = place = None
        if not run.is_code_running:
            slot, run.slot = run.slot, None
            place, run.place = run.place, None
        if slot is not None or permit is not None or place is not None:
            self._admission.give_back(slot, permit, place)

    def _noting_code_end(self, run: Run) -> Callable[[], None] | None:
        """What is to be called at the end of the code; nothing, where the run holds nothing until then."""
        if run.slot is None and run.place is None:
            return None
        return lambda: self._note_code_end(run)

    def _note_code_end(self, run: Run) -> None:
        run.is_code_running = False
        if self._runs.get(run.instance.id) is not run:
            self._release(run)  # the attempt was over before

    async def _attempt(self, run: Run, context: Context) -> Outcome:
        """Hold and call; answers an outcome whatever happens, unless the runner itself is cancelled."""
        run.is_interruptible = True
        try:
            # A stop that came before this task began could not cancel it.
            if run.is_stopped():
                return self._stopped(run)
            await self._hold(run)
            refusal = self._refuse(run)
            if refusal is not None:
                return refusal
            installed = self._tasks.get(run.instance.task)
            if installed is None:
                return HandedBack(error=_error("TASK_NOT_INSTALLED", "its plugin is gone"))
            if run.timeout is not None:
                self.deadlines.watch(run, run.timeout)
            outcome = await self._telling.call(
                self._invocation,
                installed.task,
                run,
                context,
                lambda: self._note_begin(run),
                self._noting_code_end(run),
            )
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if not run.is_stopped() or task is None:
                raise
            # It may have been told more than once: what counts is that it has stopped.
            while task.uncancel():
                pass
            return self._stopped(run)
        finally:
            run.is_interruptible = False
            if run.timeout is not None:
                self.deadlines.forget(run)  # it bounds the code, not the writing of its end
        # Code that swallows its cancellation does not thereby succeed.
        return self._stopped(run) if run.is_stopped() else outcome

    async def _hold(self, run: Run) -> None:
        """Return at the execution time by the database's clock, and not a millisecond before.

        The holder has waited for it; since then the estimate of that clock may have stepped back.
        """
        while (left := run.due_ms - self._database_clock.now_ms()) > 0:
            await self._clock.sleep(left / 1000.0)

    def _refuse(self, run: Run) -> Outcome | None:
        """Why the attempt must not begin although it is due; None when it may."""
        instance = run.instance
        if not self._lease.is_held or self._lease.node != instance.node:
            return HandedBack(error=_error("NODE_LOST", "the node lost its lease before the start"))
        if instance.start_deadline is not None:
            late = self._database_clock.now() - instance.execution_time
            if late > instance.start_deadline:
                message = f"due {late.total_seconds():.3f} s ago, too late to be useful"
                return Failed(error=_error("MISSED", message), is_final=True)
        if not self._means.suffice(run):
            return HandedBack(error=_error("NOT_ADMITTED", "it has no slot, permit or place"))
        return None

    def _note_begin(self, run: Run) -> None:
        """The task's code begins with the next statement, perhaps in another thread.

        Raises:
            RuntimeError: the run was stopped while it waited for a thread; its code must not begin.
        """
        now_ms = self._database_clock.now_ms()
        run.is_code_running = run.slot is not None or run.place is not None
        self.began[run.key] = now_ms
        # Looked at after the note: whoever stops the run from here on sees that it has begun.
        if run.stop_reason is not None:
            self.began.pop(run.key, None)
            raise RuntimeError("stopped before it began")
        if run.permit is not None:
            self._means.permits.use(run.permit)
        self._telling.started(run, (now_ms - run.ready_ms) / 1000.0)

    def _stopped(self, run: Run) -> Outcome:
        match run.stop_reason:
            case Stop.TIMED_OUT:
                seconds = run.timeout.total_seconds() if run.timeout else 0.0
                whose = "" if run.has_own_timeout else ", the time limit of its task"
                error = _error("TIMEOUT", f"did not end within {seconds:g} s{whose}")
                return Failed(error=error, is_crash=not run.has_own_timeout)
            case Stop.FENCED:
                return HandedBack(error=_error("NODE_LOST", "the node lost its lease"))
            case _:
                return HandedBack(error=_error("SHUTDOWN", "the node was shut down"))

    async def _call_back(self, run: Run, context: Context, ending: Ending | None) -> None:
        # Where the end was written, an abort came after it: whoever made it calls back.
        if ending is None and run.stop_reason is Stop.ABORTED:
            await self._on_abort(run.instance, context)
            return
        installed = self._tasks.get(run.instance.task)
        if installed is None or ending is None:
            return
        if ending.state is State.SUCCEEDED:
            await self._invocation.callback(installed.task.on_success, context, ending.result)
        elif ending.state is State.FAILED and ending.error is not None:
            await self._invocation.callback(installed.task.on_fail, context, ending.error)

    async def _on_abort(self, instance: Instance, context: Context) -> None:
        installed = self._tasks.get(instance.task)
        if installed is not None:
            await self._invocation.callback(installed.task.on_abort, context)

    def _context(self, instance: Instance, timeout: timedelta | None) -> Context:
        deadline = None
        if timeout is not None:
            deadline = max(self._database_clock.now(), instance.execution_time) + timeout
        return Context(instance=instance, deadline=deadline, log=_log)


def _error(reason: str, message: str) -> InstanceError:
    return InstanceError(reason=reason, message=message)

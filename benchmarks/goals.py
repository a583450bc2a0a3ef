"""The goals, and what a report says of each: pure functions of the JSON that the programs write."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

#: The peers, as a report names them and as people do.
PEERS: Mapping[str, str] = {
    "apscheduler3": "APScheduler 3",
    "apscheduler3-durable": "APScheduler 3, durable",
    "apscheduler4": "APScheduler 4",
    "agenda": "Agenda",
    "celery": "Celery",
}

Row = Mapping[str, Any]
Rows = Sequence[Row]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """What was measured, in words, and whether that reaches the goal."""

    text: str
    is_reached: bool
    #: A rate is missed on a machine whose bare pipe is slower than the one that the goal was set by, and the
    #: share of the pipe that the goal is of that one is reached.
    is_by_ratio: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """One line of the table. ``judge`` answers None where the report does not measure it."""

    measure: str
    wanted: str
    judge: Callable[[Rows], Figure | None]
    notes: Sequence[str] = field(default=())


def find(rows: Rows, *programs: str, measure: str | None = None, **parameters: Any) -> Row | None:
    """The first row of one of these programs, in their order, with these parameters."""
    for program in programs:
        for row in rows:
            if (
                row["program"] == program
                and measure in {None, row["measure"]}
                and all(row["parameters"].get(name) == given for name, given in parameters.items())
            ):
                return row
    return None


def median(row: Row, name: str) -> float:
    """A value of a row: the median, where it is one of several runs."""
    value = row["values"][name]
    return float(value["median"] if isinstance(value, Mapping) else value)


#: What the bare pipes did a second where the goals were set.
_PIPE_CREATES = 97_000
_PIPE_ENDS = 23_000
_CREATES = 50_000
_ENDS = 12_000


def _rate(
    row: Row, text: str, *, rate: float, ratio: float, bare: float, goal: int, pipe: int
) -> Figure:
    is_share = ratio >= 0.5 and _faultless(row)
    return Figure(
        text=text,
        is_reached=is_share and rate >= goal,
        is_by_ratio=is_share and rate < goal and bare < pipe and ratio >= goal / pipe,
    )


def _faultless(row: Row) -> bool:
    return not any(row["correctness"].values())


def _stream_create(rows: Rows) -> Figure | None:
    row = find(rows, "create_stream")
    if row is None:
        return None
    rate, ratio = median(row, "later_per_second"), median(row, "ratio")
    bare = median(row, "bare_per_second")
    text = f"{rate:,.0f}/s; {ratio:.2f} of the pipe's {bare:,.0f}/s"
    return _rate(row, text, rate=rate, ratio=ratio, bare=bare, goal=_CREATES, pipe=_PIPE_CREATES)


def _unary(in_flight: int) -> Callable[[Rows], Figure | None]:
    def judge(rows: Rows) -> Figure | None:
        row = find(rows, "create_unary", in_flight=in_flight)
        if row is None:
            return None
        rate, ratio = median(row, "later_per_second"), median(row, "ratio")
        return Figure(
            text=f"{rate:,.0f}/s; {ratio:.2f} x", is_reached=ratio >= 1.5 and _faultless(row)
        )

    return judge


def _alone(rows: Rows) -> Figure | None:
    row = find(rows, "create_unary", in_flight=1)
    if row is None:
        return None
    ratio = median(row, "p50_over_insert")
    own, insert = median(row, "later_p50_ms"), median(row, "insert_p50_ms")
    return Figure(
        text=f"p50 {own:.2f} ms; {ratio:.2f} x the insert's {insert:.2f} ms",
        is_reached=ratio <= 1.5 and _faultless(row),
    )


def _burst(rows: Rows) -> Figure | None:
    row = find(rows, "burst")
    if row is None:
        return None
    rate, ratio = median(row, "later_per_second"), median(row, "ratio_same")
    bare = median(row, "bare_same_per_second")
    text = f"{rate:,.0f}/s; {ratio:.2f} of the pipe's {bare:,.0f}/s"
    return _rate(row, text, rate=rate, ratio=ratio, bare=bare, goal=_ENDS, pipe=_PIPE_ENDS)


def _burst_beside_peers(rows: Rows) -> Figure | None:
    row = find(rows, "burst")
    beside = {
        name: median(peer, "ended_per_second")
        for name in PEERS
        if (peer := find(rows, name, measure="burst")) is not None
    }
    if row is None or not beside:
        return None
    best = max(beside, key=lambda name: beside[name])
    times = median(row, "later_per_second") / beside[best]
    return Figure(
        text=f"{times:.1f} x the {beside[best]:,.0f}/s of {PEERS[best]}",
        is_reached=times >= 3 and _faultless(row),
    )


def _lateness_beside_peers(rows: Rows) -> Figure | None:
    own = find(rows, "lateness", "table", rate=1_000, pending=1_000_000)
    measured = [
        (name, peer)
        for name in PEERS
        if (peer := find(rows, name, measure="lateness", rate=1_000)) is not None
    ]
    if own is None or not measured:
        return None
    p99 = median(own, "p99_ms")
    steady = {
        name: median(peer, "p99_ms") for name, peer in measured if not peer["values"]["saturated"]
    }
    if not steady:
        return Figure(text="they are saturated", is_reached=_faultless(own))
    best = min(steady, key=lambda name: steady[name])
    return Figure(
        text=f"p99 {p99:.2f} ms; {steady[best]:.2f} ms of {PEERS[best]}",
        is_reached=p99 <= steady[best] and _faultless(own),
    )


def _lateness(
    rate: int, *, p50_ms: float, p99_ms: float, pending: int = 1_000_000
) -> Callable[[Rows], Figure | None]:
    def judge(rows: Rows) -> Figure | None:
        row = find(rows, "lateness", "table", rate=rate, pending=pending)
        if row is None:
            return None
        p50, p99 = median(row, "p50_ms"), median(row, "p99_ms")
        early = row["correctness"]["early"]
        floor = find(rows, "timers", rate=rate)
        beside = (
            f"; a bare event loop {median(floor, 'p50_ms'):.2f} and {median(floor, 'p99_ms'):.2f} ms"
            if floor is not None
            else ""
        )
        return Figure(
            text=f"p50 {p50:.2f} ms, p99 {p99:.2f} ms, {early} early{beside}",
            is_reached=p50 < p50_ms and p99 < p99_ms and _faultless(row),
        )

    return judge


def _flat(rows: Rows) -> Figure | None:
    few = find(rows, "table", rate=1_000, pending=10_000)
    many = find(rows, "table", rate=1_000, pending=10_000_000)
    if few is None or many is None:
        return None
    low, high = sorted([median(few, "p99_ms"), median(many, "p99_ms")])
    return Figure(
        text=f"p99 {median(few, 'p99_ms'):.2f} ms and {median(many, 'p99_ms'):.2f} ms",
        is_reached=high <= 1.5 * low and _faultless(few) and _faultless(many),
    )


def _window(rows: Rows) -> Figure | None:
    row = find(rows, "window", count=1_000_000)
    if row is None:
        return None
    above, seconds = median(row, "above_idle_mb"), median(row, "pull_seconds")
    pause = row["values"]["longest_pause_ms"]["high"]
    return Figure(
        text=f"{above:.0f} MB, {seconds:.1f} s, longest pause {pause:.0f} ms",
        is_reached=above < 150 and seconds < 10 and pause <= 50 and _faultless(row),
    )


def _memory(rows: Rows) -> Figure | None:
    row = find(rows, "memory", pending=10_000_000)
    if row is None:
        return None
    idle, pending = median(row, "idle_mb"), median(row, "pending_mb")
    # What two idle servers differ by.
    return Figure(
        text=f"{pending:.1f} MB; idle {idle:.1f} MB", is_reached=abs(pending - idle) <= 0.02 * idle
    )


def _startup(rows: Rows) -> Figure | None:
    row = find(rows, "startup", pending=1_000_000)
    if row is None:
        return None
    seconds, idle = median(row, "seconds"), median(row, "idle_mb")
    return Figure(
        text=f"{seconds:.2f} s; {idle:.1f} MB",
        is_reached=seconds < 1 and idle < 80 and _faultless(row),
    )


def _watch(rows: Rows) -> Figure | None:
    row = find(rows, "watch", measure="many subscribers")
    if row is None:
        return None
    delay, lost = median(row, "delay_p99_ms"), row["correctness"]["lost"]
    bare = "bare_delay_p99_ms"
    floor = f", of a bare change stream {median(row, bare):.0f}" if bare in row["values"] else ""
    alone, beside = median(row, "lateness_p99_ms_without"), median(row, "lateness_p99_ms_with")
    return Figure(
        text=(
            f"{lost} lost; p99 {delay:.0f} ms{floor}; lateness p99 {alone:.2f} ms without,"
            f" {beside:.2f} ms with"
        ),
        is_reached=delay < 50 and beside <= 1.5 * alone and _faultless(row),
    )


def _one_subscriber(rows: Rows) -> Figure | None:
    missed = find(rows, "watch", measure="one subscriber reads what it missed")
    live = find(rows, "watch", measure="one subscriber follows")
    if missed is None or live is None:
        return None
    history, news = median(missed, "events_per_second"), median(live, "events_per_second")
    return Figure(
        text=f"{history:,.0f}/s of what it missed; {news:,.0f}/s as they happen",
        is_reached=min(history, news) >= 20_000 and _faultless(missed) and _faultless(live),
    )


def _round_trips(rows: Rows) -> Figure | None:
    row = find(rows, "round_trips")
    if row is None:
        return None
    taken = [median(row, step) for step in ("create", "claim", "finish")]
    return Figure(
        text=", ".join(f"{one:g}" for one in taken),
        is_reached=all(one <= most for one, most in zip(taken, (2, 3, 3), strict=True)),
    )


GOALS: tuple[Goal, ...] = (
    Goal(
        measure="stream create, batches of 1,000, 4 in flight, 100-byte parameters",
        wanted=">= 50,000/s and >= 0.5 of a bare gRPC-to-`insert_many` pipe",
        judge=_stream_create,
    ),
    Goal(
        measure="unary create, 64 in flight",
        wanted=">= 1.5 x a handler that inserts one by one",
        judge=_unary(64),
    ),
    Goal(
        measure="unary create, 256 in flight",
        wanted=">= 1.5 x a handler that inserts one by one",
        judge=_unary(256),
    ),
    Goal(measure="unary create, alone", wanted="p50 <= 1.5 x one bare insert", judge=_alone),
    Goal(
        measure="burst: 20,000 due at one instant",
        wanted=">= 12,000/s and >= 0.5 of a bare claim-call-finish pipe; none lost, none twice",
        judge=_burst,
    ),
    Goal(
        measure="the burst beside peers in the same run",
        wanted=">= 3 x the best of them",
        judge=_burst_beside_peers,
    ),
    Goal(
        measure="lateness at 1,000/s, 1,000,000 pending",
        wanted="p50 < 0.5 ms, p99 < 2 ms, 0 early",
        judge=_lateness(1_000, p50_ms=0.5, p99_ms=2.0),
    ),
    Goal(
        measure="lateness at 1,000/s beside peers in the same run",
        wanted="never behind the best of them",
        judge=_lateness_beside_peers,
    ),
    Goal(
        measure="lateness at 2,000/s, 1,000,000 pending",
        wanted="p99 < 5 ms, 0 early",
        judge=_lateness(2_000, p50_ms=5.0, p99_ms=5.0),
    ),
    Goal(
        measure="the same with 10,000 and 10,000,000 pending, 1,000/s",
        wanted="p99 within 1.5 x of each other",
        judge=_flat,
    ),
    Goal(
        measure="1,000,000 instances inside one window",
        wanted="< 150 MB above idle, pulled in < 10 s, no pause > 50 ms",
        judge=_window,
    ),
    Goal(
        measure="memory with 10,000,000 pending outside the window",
        wanted="as idle",
        judge=_memory,
    ),
    Goal(
        measure="start with 1,000,000 pending, one overdue",
        wanted="it has run in < 1 s; idle memory < 80 MB",
        judge=_startup,
    ),
    Goal(
        measure="watch: 10 subscribers, 2,000 events/s",
        wanted="nothing lost; p99 < 50 ms; lateness unharmed",
        judge=_watch,
    ),
    Goal(measure="watch: 1 subscriber", wanted=">= 20,000 events/s", judge=_one_subscriber),
    Goal(
        measure="round trips for 1,000 instances: create, claim, finish",
        wanted="<= 2, <= 3, <= 3",
        judge=_round_trips,
    ),
)

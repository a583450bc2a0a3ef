"""Each field of each request, and what is wrong in it: a table by method."""

from __future__ import annotations

import math
from dataclasses import dataclass

from later_core.rpc.v1 import later_pb2 as pb

SERVICES = pb.DESCRIPTOR.services_by_name


@dataclass(frozen=True)
class Wrong:
    """One wrong value: where (a path of field names), what is set there, which path is named."""

    field: str
    value: object
    named: str
    method: str = ""

    def __str__(self) -> str:
        value = repr(self.value)
        return f"{self.method}-{self.field}-{value if len(value) < 30 else value[:30]}"


LONG = "x" * 129
TIMES = [
    {"seconds": 0, "nanos": -1},
    {"seconds": 0, "nanos": 10**9},
    {"seconds": 253_402_300_800},
    {"seconds": 2**63 - 1},
    {"seconds": -(2**63)},
]
NOT_SCHEDULABLE = [*TIMES, {"seconds": -1}, {"seconds": 221_845_392_000}]
MALFORMED_SPANS = [
    {"seconds": 1, "nanos": -1},
    {"seconds": 1, "nanos": 10**9},
    {"seconds": 3_153_600_001},
    {"seconds": 2**63 - 1},
    {"seconds": -(2**63)},
    {"seconds": 1, "nanos": -(2**31)},
]
NEGATIVE_SPANS = [*MALFORMED_SPANS, {"seconds": -1}, {"nanos": -1}]
TOO_SHORT_SPANS = [*NEGATIVE_SPANS, {}, {"nanos": 999_999}]
IDS = ["", LONG, "a\0b", "a\nb", "\x7f", "\x85"]


def rows(field, values, named=None):
    return [Wrong(field, value, named or field) for value in values]


DUE = [*rows("execution_time", NOT_SCHEDULABLE), *rows("delay", NEGATIVE_SPANS)]

CREATE = [
    *rows("id", [LONG, "-a", "a b", "ä", "a\n", "a\0", ".", "$x"]),
    *rows("task", ["", LONG, " ", "\u2003 ", "a\0b", "a\nb", "\x1b[2J"]),
    *rows("parameters", [b"x" * (1024 * 1024 + 1)]),
    *rows("json", [{"a": math.nan}, {"a": math.inf}], 'json["a"]'),
    *rows("json", [{"a": [{"b c": -math.inf}]}], 'json["a"][0]["b c"]'),
    *rows("json", [{"a": "x" * (1024 * 1024)}], "json"),
    *DUE,
    *rows("retry.max_attempts", [-1, 1001, 2**31 - 1]),
    *rows("retry.min_backoff", NEGATIVE_SPANS),
    *rows("retry.min_backoff", [{"seconds": 3601}]),
    *rows("retry.max_backoff", NEGATIVE_SPANS),
    *rows("retry.max_backoff", [{"nanos": 999_000_000}]),
    *rows("retry.multiplier", [0.5, -1.0, 100.1, math.nan, math.inf, -math.inf, 1e-320]),
    *rows("retry.jitter", [-0.1, 1.1, math.nan, math.inf, -math.inf, -1e-320]),
    *rows("retry.final_reasons", [[""], ["a\nb"], ["x" * 129]], "retry.final_reasons[0]"),
    *rows("retry.final_reasons", [["A", "A"], [f"R{n}" for n in range(33)]]),
    *rows("timeout", TOO_SHORT_SPANS),
    *rows("start_deadline", TOO_SHORT_SPANS),
    *rows("delivery", [3, -1, 2**31 - 1]),
    *rows("concurrency.key", ["", LONG, "a\0b", "a\nb"]),
    *rows("concurrency.limit", [0, -1, 1001, 2**31 - 1]),
    *rows("priority", [-1, 101, 2**31 - 1, -(2**31)]),
    *rows("labels", [{f"k{n}": "" for n in range(33)}]),
    *rows("labels", [{"": "x"}], 'labels[""]'),
    *rows("labels", [{"k" * 64: "x"}], f'labels["{"k" * 64}"]'),
    *rows("labels", [{"a b": "x"}], 'labels["a b"]'),
    *rows("labels", [{"$where": "x"}], 'labels["$where"]'),
    *rows("labels", [{"k.": "x"}], 'labels["k."]'),
    *rows("labels", [{'"': "x"}], r'labels["\""]'),
    *rows("labels", [{"k": "x" * 256}, {"k": "a\0"}, {"k": "a\nb"}], 'labels["k"]'),
]
FILTER = [
    *rows("filter.states", [[0], [6], [-1]], "filter.states[0]"),
    *rows("filter.states", [[1] * 6], "filter.states"),
    *rows("filter.tasks", [["ok", ""], ["ok", LONG], ["ok", "a\0"]], "filter.tasks[1]"),
    *rows("filter.tasks", [["x"] * 101], "filter.tasks"),
    *rows("filter.start_time", TIMES),
    *rows("filter.end_time", TIMES),
    *rows("filter.labels", [{"": "x"}], 'filter.labels[""]'),
    *rows("filter.labels", [{"$where": "x"}], 'filter.labels["$where"]'),
    *rows("filter.labels", [{"k": "x" * 256}, {"k": "\0"}], 'filter.labels["k"]'),
    *rows("filter.labels", [{f"k{n}": "" for n in range(33)}], "filter.labels"),
    *rows("filter.schedule_id", [LONG, "\0"]),
]
SCHEDULE_IDS = ["", "x" * 97, "a\0b", "a\nb"]
ZONES = ["Europe/Pariss", "utc", "x" * 65, "\0"]
NOTES = ["x" * 1025, "a\nb"]
ETAGS = ["x" * 65, "\0"]


def rule_rows(field, extra):
    """What is wrong in any list of rules: (a rule, the path named below the list's first item)."""
    wrong = [
        ({}, extra),
        ({"cron": {}}, "cron.expression"),
        ({"cron": {"expression": "x" * 257}}, "cron.expression"),
        ({"cron": {"expression": "* * *"}}, "cron.expression"),
        ({"cron": {"expression": "0 0 31 2 *"}}, "cron.expression"),
        ({"cron": {"expression": "@reboot"}}, "cron.expression"),
        *(({"cron": {"expression": "@daily", "time_zone": z}}, "cron.time_zone") for z in ZONES),
        ({"interval": {}}, "interval.every"),
        *(({"interval": {"every": span}}, "interval.every") for span in TOO_SHORT_SPANS),
        ({"interval": {"every": {"nanos": 999_999_999}}}, "interval.every"),
        *(
            ({"interval": {"every": {"seconds": 1}, "anchor": time}}, "interval.anchor")
            for time in NOT_SCHEDULABLE
        ),
        ({"calendar": {}}, "calendar.rrule"),
        ({"calendar": {"rrule": "x" * 513}}, "calendar.rrule"),
        ({"calendar": {"rrule": "FREQ=NEVER"}}, "calendar.rrule"),
        ({"calendar": {"rrule": "FREQ=DAILY;UNTIL=19990101T000000Z"}}, "calendar.rrule"),
        *(
            ({"calendar": {"rrule": "FREQ=DAILY", "dtstart": time}}, "calendar.dtstart")
            for time in NOT_SCHEDULABLE
        ),
        *(
            ({"calendar": {"rrule": "FREQ=DAILY", "time_zone": z}}, "calendar.time_zone")
            for z in ZONES
        ),
        ({"times": {}}, "times.times"),
        ({"times": {"times": [{}] * 1001}}, "times.times"),
        *(({"times": {"times": [{}, time]}}, "times.times[1]") for time in NOT_SCHEDULABLE),
    ]
    return [Wrong(field, [rule], f"{field}[0].{path}") for rule, path in wrong]


DATES = [
    ({}, "dates"),
    ({"dates": ["2030-01-01"] * 1001}, "dates"),
    *(({"dates": ["2030-01-01", day]}, "dates[1]") for day in ["", "x", "2030-02-30", "2030-1-1"]),
    ({"dates": ["1969-12-31"]}, "dates"),
    *(({"dates": ["2030-01-01"], "time_zone": z}, "time_zone") for z in ZONES),
]
DAILY = {"cron": {"expression": "@daily"}}
SPEC = [
    *(
        Wrong(f"spec.{row.field}", row.value, f"spec.{row.named}")
        for row in CREATE
        if row.field not in ("id", "execution_time", "delay") and row.value != ""
    ),
    *rows("spec.rules", [[], [DAILY] * 33]),
    *rule_rows("spec.rules", "rule"),
    *rows("spec.exclusions", [[DAILY] * 33]),
    *rule_rows("spec.exclusions", "exclusion"),
    *(
        Wrong("spec.exclusions", [{"dates": dates}], f"spec.exclusions[0].dates.{path}")
        for dates, path in DATES
    ),
    *rows("spec.time_zone", ZONES),
    *rows("spec.start_time", NOT_SCHEDULABLE),
    *rows("spec.end_time", NOT_SCHEDULABLE),
    *rows("spec.end_time", [{"seconds": 1}]),
    *rows("spec.max_runs", [-1, -(2**31)]),
    *rows("spec.jitter", NEGATIVE_SPANS),
    *rows("spec.overlap", [6, -1, 2**31 - 1]),
    *rows("spec.catch_up", [4, -1, 2**31 - 1]),
    *rows("spec.catchup_window", TOO_SHORT_SPANS),
]
STORED_SPEC = [*SPEC, *rows("spec.task", [""])]
LISTED = [
    *rows("page_size", [-1, 1001, 2**31 - 1]),
    *rows("page_token", ["x", "x" * 1025, "ä", "\0", "MTcuaWQ="]),
]

#: Fields of which every value is right.
FREE = {
    *("spec.pause_on_failure", "is_paused", "filter.is_paused", "only_instances"),
    *("validate_only", "replace", "only_ended", "pause_schedules"),
}

BATCH = rows("requests", [[], [{}] * 1001])

TABLE = {
    "CreateInstance": CREATE,
    "BatchCreateInstances": BATCH,
    "StreamCreateInstances": BATCH,
    "GetInstance": rows("id", IDS),
    "ListInstances": [
        *FILTER,
        *LISTED,
        *rows("page_token", ["c2NoZWR1bGUuaWQ"]),
    ],
    "AbortInstance": rows("id", IDS),
    "RescheduleInstance": [*rows("id", IDS), *DUE, *rows("revision", [-1, -(2**63)])],
    "RetryInstance": [*rows("id", IDS), *DUE],
    "WatchInstances": [
        *FILTER,
        *rows("resume_token", ["x", "x" * 4097, "ä", "\0"]),
        *rows("include_existing", [True]),
    ],
    "CreateSchedule": [
        *rows("id", ["x" * 97, "-a", "a b", "ä", "a@b", "a\0"]),
        *STORED_SPEC,
        *rows("pause_note", NOTES),
    ],
    "GetSchedule": rows("id", SCHEDULE_IDS),
    "ListSchedules": [
        *(row for row in FILTER if row.field in ("filter.tasks", "filter.labels")),
        *LISTED,
        *rows("page_token", ["MTcuaWQ"]),
    ],
    "UpdateSchedule": [*rows("id", SCHEDULE_IDS), *STORED_SPEC, *rows("etag", ETAGS)],
    "DeleteSchedule": [*rows("id", SCHEDULE_IDS), *rows("etag", ETAGS)],
    "PauseSchedule": [*rows("id", SCHEDULE_IDS), *rows("note", NOTES)],
    "ResumeSchedule": [*rows("id", SCHEDULE_IDS), *rows("note", NOTES)],
    "TriggerSchedule": [
        *rows("id", SCHEDULE_IDS),
        *rows("request_id", ["x" * 25, "-a", "a b", "a@b", "a\0"]),
    ],
    "BackfillSchedule": [
        *rows("id", SCHEDULE_IDS),
        *rows("start_time", NOT_SCHEDULABLE),
        *rows("end_time", NOT_SCHEDULABLE),
        *rows("end_time", [{"seconds": 1}]),
        *rows("limit", [-1, 1001, 2**31 - 1]),
    ],
    "PreviewSchedule": [
        *rows("id", SCHEDULE_IDS),
        *SPEC,
        *rows("after", NOT_SCHEDULABLE),
        *rows("count", [-1, 1001, 2**31 - 1]),
    ],
    "ListTasks": [],
    "GetTask": rows("name", ["", LONG, "a\0b"]),
    "GetStats": [],
    "ListNodes": [],
    "WhoAmI": [],
    "DrainNode": rows("id", ["", "x" * 256, "a\0b", "a\nb"]),
    "ExportInstances": [*FILTER, *rows("resume_token", ["x", "x" * 1025, "ä", "\0"])],
    "ImportInstances": [
        *rows("instances", [[{}] * 1001]),
        *rows("schedules", [[{}] * 1001]),
        *rows("snapshot_time", NOT_SCHEDULABLE),
    ],
    "CreateToken": [
        *rows("name", ["", LONG, "-a", "a b", "a\0"]),
        *rows("roles", [[], [1] * 5, [1, 1]]),
        *rows("roles", [[0], [5], [-1]], "roles[0]"),
        *rows("tasks", [["ok", ""], ["ok", LONG], ["ok", "a\0"]], "tasks[1]"),
        *rows("tasks", [["x"] * 33]),
        *(row for row in CREATE if row.field == "labels"),
        *rows("permissions", [["ok", ""], ["ok", "x" * 65], ["ok", "a.b"]], "permissions[1]"),
        *rows("permissions", [["x"] * 33]),
        *rows("lifetime", TOO_SHORT_SPANS),
        *rows("create_rate", ["x" * 65, "many", "0/1s", "1/0s"]),
        *rows("max_pending", [-2, 1_000_000_001, 2**63 - 1]),
    ],
    "ListTokens": LISTED,
    "RevokeToken": rows("id", ["", "x" * 65, "a\0b", "a\nb"]),
    "ListAuditEntries": [
        *rows("principal", ["x" * 256, "a\0"]),
        *rows("methods", [["x"] * 33]),
        *rows("methods", [["Ok", "a b"], ["Ok", "x" * 65]], "methods[1]"),
        *rows("target", [LONG, "a\0"]),
        *rows("outcomes", [["X"] * 33]),
        *rows("outcomes", [["OK", "ok"], ["OK", "X" * 33]], "outcomes[1]"),
        *rows("start_time", NOT_SCHEDULABLE),
        *rows("end_time", NOT_SCHEDULABLE),
        *LISTED,
    ],
}
ROWS = [
    Wrong(row.field, row.value, row.named, method)
    for method, wrongs in TABLE.items()
    for row in wrongs
]

#: What makes a request right but for the field under test.
RIGHT = {
    "CreateInstance": {"task": "echo"},
    "GetInstance": {"id": "a"},
    "AbortInstance": {"id": "a"},
    "RescheduleInstance": {"id": "a", "execution_time": {"seconds": 1}},
    "RetryInstance": {"id": "a"},
    "GetTask": {"name": "echo"},
    "CreateSchedule": {"spec": {"task": "echo", "rules": [DAILY]}},
    "GetSchedule": {"id": "a"},
    "UpdateSchedule": {"id": "a", "spec": {"task": "echo", "rules": [DAILY]}},
    "DeleteSchedule": {"id": "a"},
    "PauseSchedule": {"id": "a"},
    "ResumeSchedule": {"id": "a"},
    "TriggerSchedule": {"id": "a"},
    "BackfillSchedule": {"id": "a", "start_time": {"seconds": 1}, "end_time": {"seconds": 2}},
    "PreviewSchedule": {"spec": {"rules": [DAILY]}},
    "ImportInstances": {"snapshot_time": {"seconds": 1}},
    "CreateToken": {"name": "ci", "roles": [1]},
}


def methods():
    return {method.name: method for service in SERVICES.values() for method in service.methods}

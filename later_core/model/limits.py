"""The bounds that every request keeps. The proto states them too; a test holds the two together."""

from __future__ import annotations

from datetime import timedelta

ID_MAX_LENGTH = 128
#: Leaves room for the time that follows it in the ids of its instances.
SCHEDULE_ID_MAX_LENGTH = 96
#: Leaves room for a schedule's id in front of it.
REQUEST_ID_MAX_LENGTH = 24
PAUSE_NOTE_MAX_LENGTH = 1024
TASK_NAME_MAX_LENGTH = 128
TASK_DESCRIPTION_MAX_LENGTH = 1024
#: Of its JSON text. What all plugins say must fit into one answer.
SCHEMA_MAX_LENGTH = 64 * 1024
#: Each level is three of a Struct's, and a protobuf message has at most 100.
SCHEMA_MAX_DEPTH = 30
PARAMETERS_MAX_BYTES = 1024 * 1024
RESULT_MAX_BYTES = 1024 * 1024
ERROR_MESSAGE_MAX_LENGTH = 4096
BATCH_MAX_REQUESTS = 1000
BACKFILL_MAX_TIMES = 1000
PREVIEW_MAX_TIMES = 1000
PREVIEW_DEFAULT_TIMES = 10
PAGE_MAX_SIZE = 1000
PAGE_DEFAULT_SIZE = 100
LABELS_MAX_COUNT = 32
LABEL_KEY_MAX_LENGTH = 63
LABEL_VALUE_MAX_LENGTH = 255
MAX_ATTEMPTS = 1000
CONCURRENCY_KEY_MAX_LENGTH = 128
#: All that hold a slot of a key stand in one document.
CONCURRENCY_MAX = 1000
PRIORITY_MAX = 100
#: Of the attempts that have ended, so many stand on the instance; older ones are dropped.
ATTEMPTS_KEPT = 10
#: In characters; what is longer is cut off. The instance's own error has all of it.
ATTEMPT_MESSAGE_MAX_LENGTH = 512
DURATION_MAX = timedelta(days=36_500)

#: What a node creates at once, at most: instances, and bytes of their parameters. What comes beside it is
#: refused, and worth another try. At 11,000 a second it is a second and a half of work.
CREATES_HELD = 16_384
CREATES_HELD_BYTES = 64 * 1024 * 1024

#: What the large messages of all calls of a node may hold together, as they are on the wire: requests until
#: their calls are over, answers until they are taken.
MESSAGES_HELD_BYTES = 64 * 1024 * 1024

#: So many watches that begin with what exists are told of it at a time, and so many exports: each holds a
#: page or two of it, in several forms, however slowly it reads. The others wait for their turn.
SNAPSHOTS_AT_ONCE = 16
EXPORTS_AT_ONCE = 4

#: A stream whose client takes nothing for so long, in seconds, while there is something to take, is ended.
STALLED_SECONDS = 60.0

#: Messages stay under the 4 MiB that every gRPC client accepts by default; a page or an event
#: batch is closed once the parameters and results in it reach this many bytes.
RESPONSE_MAX_BYTES = 2 * 1024 * 1024

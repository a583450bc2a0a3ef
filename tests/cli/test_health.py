"""``later health``: one word and an exit code."""

from __future__ import annotations

import time


def test_a_server_that_serves_is_healthy(ask):
    said = ask("health")
    assert (said.code, said.out, said.err) == (0, "SERVING\n", "")
    assert ask("health", "--json").records == [{"status": "SERVING"}]


def test_one_whose_database_is_away_is_not(later, start_server, own_mongod, database: str):
    server = start_server(f"--mongodb-uri={own_mongod.uri}", f"--database={database}")
    try:
        own_mongod.kill()
        deadline = time.monotonic() + 60  # noqa: TID251 -- a real process
        while (said := later("--address", server.address, "health")).code == 0:
            assert time.monotonic() < deadline, said  # noqa: TID251 -- of a real process
            time.sleep(0.2)  # noqa: TID251 -- a real process is asked again
        assert (said.code, said.out) == (1, "NOT_SERVING\n")
    finally:
        server.stop()


def test_nobody_there_is_no_health(later):
    said = later("health", "--address", "127.0.0.1:1")
    assert said.code == 1
    assert said.out == ""
    assert said.err.startswith("later: error: ")

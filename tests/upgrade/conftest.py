"""A server of this version on what the release before it wrote."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pymongo
import pytest
from bson import json_util

from tests.upgrade.previous import serving
from tests.upgrade.record import DATA, SETTINGS, Caller, Record

Raw = pymongo.database.Database[dict[str, Any]]


@dataclass(frozen=True, kw_only=True)
class Upgraded:
    """The server, what was recorded, and what it answered at once."""

    caller: Caller
    raw: Raw
    recorded: Record
    first: dict[str, Record]
    schedules: dict[str, Record]


@pytest.fixture(scope="session")
def recorded() -> Record:
    content: Record = json.loads(DATA.read_text(encoding="utf-8"))
    return content


def restore(raw: Raw, collections: Record) -> None:
    """As mongorestore does: options, documents, indexes."""
    for name, extended in collections.items():
        content = json_util.loads(json.dumps(extended), json_options=_AWARE)
        collection = raw.create_collection(name, **content["options"])
        collection.insert_many(content["documents"])
        for index in content["indexes"]:
            known = {key: value for key, value in index.items() if key not in ("v", "key")}
            if index["name"] != "_id_":
                collection.create_index(list(index["key"].items()), **known)


_AWARE = json_util.JSONOptions(json_mode=json_util.JSONMode.CANONICAL, tz_aware=True)


@pytest.fixture(scope="module")
def upgraded(
    mongodb_uri: str, recorded: Record, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Upgraded]:
    name = f"test_{uuid.uuid4().hex}"
    log = Path(tmp_path_factory.mktemp("upgraded"), "later.log")
    with pymongo.MongoClient[dict[str, Any]](mongodb_uri, tz_aware=True) as client:
        restore(client[name], recorded["collections"])
        settings = {**SETTINGS, "mongodb_uri": mongodb_uri, "database": name}
        try:
            with (
                serving(log, code=[], settings=settings) as server,
                grpc.insecure_channel(server.address) as channel,
            ):
                caller = Caller(channel)
                yield Upgraded(
                    caller=caller,
                    raw=client[name],
                    recorded=recorded,
                    first={one["id"]: one for one in caller.list()},
                    schedules={
                        one["schedule"]["id"]: one["schedule"] for one in caller.schedules()
                    },
                )
        finally:
            client.drop_database(name)

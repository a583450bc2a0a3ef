"""What the server must be: a replica set, and new enough."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pymongo.errors import OperationFailure, PyMongoError, ServerSelectionTimeoutError

from later_core.errors import (
    DatabaseTooOld,
    Misconfigured,
    ReplicaSetNotInitiated,
    StandaloneServer,
)
from later_core.ports.clock import Clock
from later_core.stores.mongo.connection import Connection
from later_core.stores.mongo.errors import code_of

#: The first with a TTL index that is partial on ``$in``, and with post-images.
_NEEDED = (6, 0)

#: How long members may say that their set is not initiated before they are believed, in seconds.
_INITIATION_SECONDS = 10.0
_PAUSE_SECONDS = 0.25

#: What the driver calls members of a replica set that is initiated.
_OF_A_SET = frozenset({"RSPrimary", "RSSecondary", "RSArbiter", "RSOther"})

# Codes of the server.
_UNAUTHORIZED = 13
_AUTHENTICATION_FAILED = 18


async def check_server(connection: Connection, clock: Clock) -> None:
    """Refuse a server that could not keep the promises.

    Raises:
        StoreUnavailable: it does not answer.
        StandaloneServer, ReplicaSetNotInitiated, DatabaseTooOld: a person must act.
        Misconfigured: it refuses the credentials.

    """
    # A member that has just been started says so too, until it finds its configuration.
    give_up = clock.monotonic() + _INITIATION_SECONDS
    while True:
        try:
            await _check_server(connection)
        except ReplicaSetNotInitiated:
            if clock.monotonic() >= give_up:
                raise
            await clock.sleep(_PAUSE_SECONDS)
        else:
            return


async def _check_server(connection: Connection) -> None:
    with connection.call(), _told_to_people(connection):
        hello = await connection.admin({"hello": 1})
        if hello.get("isreplicaset"):
            raise ReplicaSetNotInitiated
        is_router = hello.get("msg") == "isdbgrid"
        if not is_router and "setName" not in hello:
            raise StandaloneServer
        build = await connection.admin({"buildInfo": 1})
        if tuple(build["versionArray"][:2]) < _NEEDED:
            raise DatabaseTooOld(str(build["version"]), _dotted(_NEEDED))
        # The first that is refused to strangers: hello and buildInfo answer anyone.
        await connection.command({"listCollections": 1, "nameOnly": True})
        if not is_router:
            await _check_compatibility(connection)


async def _check_compatibility(connection: Connection) -> None:
    """A new server may be told to behave as an older one."""
    parameter = "featureCompatibilityVersion"
    try:
        reply = await connection.admin({"getParameter": 1, parameter: 1})
    except OperationFailure as error:
        if code_of(error) == _UNAUTHORIZED:
            return  # a right that Later does not need otherwise
        raise
    found = str(reply[parameter]["version"])
    if tuple(int(part) for part in found.split(".")[:2]) < _NEEDED:
        raise DatabaseTooOld(f"set to be compatible with {found}", _dotted(_NEEDED))


@contextmanager
def _told_to_people(connection: Connection) -> Iterator[None]:
    """Tell apart what only a person can mend from what may pass by itself."""
    try:
        yield
    except ServerSelectionTimeoutError as error:
        if _awaits_initiation(connection):
            raise ReplicaSetNotInitiated from error
        if name := _set_without_members(connection):
            raise Misconfigured(
                f"no server of LATER_MONGODB_URI is a member of the replica set {name!r}: correct"
                " replicaSet in the URI, or, if MongoDB runs standalone, start mongod with"
                f" --replSet {name}, then run once mongosh --eval 'rs.initiate()'"
            ) from error
        raise
    except PyMongoError as error:
        if code_of(error) in {_UNAUTHORIZED, _AUTHENTICATION_FAILED}:
            raise Misconfigured(
                "MongoDB refuses the credentials of LATER_MONGODB_URI: check the user, the"
                " password and authSource; the user needs readWrite and dbAdmin on the database"
            ) from error
        raise


def _awaits_initiation(connection: Connection) -> bool:
    """Whether a member says so, and none is there that belongs to a set."""
    servers = connection.client.delegate.topology_description.server_descriptions().values()
    kinds = {server.server_type_name for server in servers}
    return "RSGhost" in kinds and not kinds & _OF_A_SET


def _set_without_members(connection: Connection) -> str | None:
    """The set that the URI names, when every server of the URI has answered that it is in none or
    in another: the driver then forgets them, and waits for ever.
    """
    topology = connection.client.delegate.topology_description
    return None if topology.server_descriptions() else topology.replica_set_name


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(str(part) for part in version)

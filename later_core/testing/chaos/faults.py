"""What is done to the cluster, one thing after the other on each side, by chance from a seed."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager

import structlog

from later_core.testing.chaos.account import now_ns, read_ledger
from later_core.testing.chaos.network import Network
from later_core.testing.chaos.nodes import Node, Nodes
from later_core.testing.chaos.replica_set import ReplicaSet
from later_core.testing.chaos.waiting import CLOCK, until
from later_core.testing.chaos.wall_clocks import SEEN_SECONDS

_log = structlog.get_logger(__name__)

#: How long a member of the replica set is gone or alone, in seconds: longer than an election takes.
_MEMBER_AWAY = 5.0

#: Within so many seconds each node has run something, while the load goes on and nothing befalls it.
_WORK_SECONDS = 90.0

Fault = Callable[[], Awaitable[None]]


class Faults:
    """Every fault is healed before its method returns; a majority of MongoDB is left, but for
    ``restart_everything``.
    """

    def __init__(
        self,
        network: Network,
        replica_set: ReplicaSet,
        nodes: Nodes,
        *,
        lease_seconds: float,
        chance: random.Random,
    ) -> None:
        self._network = network
        self._replica_set = replica_set
        self._nodes = nodes
        self._lease_seconds = lease_seconds
        self._chance = chance
        #: Held by whoever does something to MongoDB.
        self._database = asyncio.Lock()
        #: When that was, from and to; nanoseconds since the Unix epoch.
        self.database_troubles: list[tuple[int, int]] = []
        #: How often each fault came.
        self.done: Counter[str] = Counter()

    @property
    def of_nodes(self) -> Mapping[str, Fault]:
        """What befalls nodes, by name."""
        return {
            "node: kill -9, restart": self.kill_node,
            "node: SIGSTOP for 3 leases, SIGCONT": self.pause_node,
            "node: cut from MongoDB for 3 leases": self.cut_node,
            "node: replies of MongoDB held back for 3 leases": self.hold_replies,
            "node: SIGTERM, restart": self.stop_node,
            "two nodes: kill -9 at once, restart": self.kill_two,
            "everything: kill -9 at once, restart": self.restart_everything,
        }

    @property
    def of_database(self) -> Mapping[str, Fault]:
        """What befalls MongoDB, by name."""
        return {
            "primary: kill -9, restart": self.kill_primary,
            "primary: SIGSTOP, SIGCONT": self.pause_primary,
            "primary: cut from the other members": self.isolate_primary,
        }

    @property
    def of_clocks(self) -> Mapping[str, Fault]:
        """What befalls the clocks of the nodes, by name."""
        return {"every node: wall clock set anew": self.set_clocks}

    async def each_once(self) -> None:
        """Every fault, those of the nodes beside those of MongoDB; the clocks are set in between, and
        again at the end, while no process ends.
        """

        async def side(faults: Mapping[str, Fault]) -> None:
            for name, fault in _shuffled(faults, self._chance).items():
                await self._befall(name, fault, pause=0.3)

        async with asyncio.TaskGroup() as group:
            group.create_task(side(self.of_nodes))
            group.create_task(side(self.of_database))
            await CLOCK.sleep(_MEMBER_AWAY)
            group.create_task(side(self.of_clocks))
        await self.set_clocks_of_all_that_work()

    async def for_seconds(self, seconds: float) -> None:
        """Faults of all sides by chance, until the time is over."""
        stop = CLOCK.monotonic() + seconds

        async def side(faults: Mapping[str, Fault], pause: float) -> None:
            while CLOCK.monotonic() < stop:
                for name, fault in _shuffled(faults, self._chance).items():
                    if CLOCK.monotonic() < stop:
                        await self._befall(name, fault, pause=pause)

        async with asyncio.TaskGroup() as sides:
            sides.create_task(side(self.of_nodes, 1.0))
            # Now and then long enough for the nodes to meet their own faults alone.
            sides.create_task(side(self.of_database, 12.0))
            sides.create_task(side(self.of_clocks, 5.0))

    async def _befall(self, name: str, fault: Fault, *, pause: float) -> None:
        _log.info("fault begins", fault=name)
        await fault()
        self.done[name] += 1
        _log.info("fault healed", fault=name)
        await self._breathe(0.2, 2 * pause)

    async def _breathe(self, least: float, most: float) -> None:
        await CLOCK.sleep(self._chance.uniform(least, most))

    # -- nodes -------------------------------------------------------------------------------

    async def kill_node(self) -> None:
        await self._kill_and_restart([self._any_node()])

    async def kill_two(self) -> None:
        await self._kill_and_restart(self._chance.sample(self._nodes.all, 2))

    async def stop_node(self) -> None:
        node = self._any_node()
        await self._nodes.stop(node)
        await self._nodes.start([node])
        await node.until_serving()

    async def pause_node(self) -> None:
        node = self._any_node()
        node.process.pause()
        await CLOCK.sleep(3 * self._lease_seconds)
        node.process.wake()

    async def cut_node(self) -> None:
        await self._cut_for_3_leases(replies_only=False)

    async def hold_replies(self) -> None:
        await self._cut_for_3_leases(replies_only=True)

    async def _cut_for_3_leases(self, *, replies_only: bool) -> None:
        node = self._any_node()
        doors = [member.name for member in self._replica_set.members]
        self._network.cut(node.name, doors, replies_only=replies_only)
        await CLOCK.sleep(3 * self._lease_seconds)
        self._network.heal(node.name)

    async def _kill_and_restart(self, nodes: list[Node]) -> None:
        await self._nodes.kill(nodes)
        await self._breathe(0.0, 2 * self._lease_seconds)
        await self._nodes.start(nodes)
        for node in nodes:
            await node.until_serving()

    def _any_node(self) -> Node:
        return self._chance.choice(self._nodes.all)

    # -- their clocks ------------------------------------------------------------------------

    async def set_clocks(self) -> None:
        self._nodes.set_clocks()
        await CLOCK.sleep(SEEN_SECONDS)

    async def set_clocks_of_all_that_work(self) -> None:
        """Set every node's clock once each has run something by the one it has, and wait until each has
        run something by the other one.
        """

        async def all_have_noted() -> bool:
            noted = {each.pid for each in read_ledger(self._nodes.ledger) if each.at_ns > since}
            return noted >= {node.process.pid for node in self._nodes.all}

        since = now_ns()
        await until("every node has run something", all_have_noted, _WORK_SECONDS)
        await self.set_clocks()
        since = now_ns()
        await until("every node has run something anew", all_have_noted, _WORK_SECONDS)

    # -- MongoDB -----------------------------------------------------------------------------

    @asynccontextmanager
    async def _harming_database(self) -> AsyncIterator[None]:
        async with self._database:
            begun = now_ns()
            try:
                yield
            finally:
                self.database_troubles.append((begun, now_ns()))

    async def kill_primary(self) -> None:
        async with self._harming_database():
            primary = await self._replica_set.primary()
            await self._replica_set.kill([primary])
            await CLOCK.sleep(_MEMBER_AWAY)
            await self._replica_set.start([primary])
            await self._replica_set.settled()

    async def pause_primary(self) -> None:
        async with self._harming_database():
            primary = await self._replica_set.primary()
            primary.process.pause()
            await CLOCK.sleep(_MEMBER_AWAY)
            primary.process.wake()
            await self._replica_set.settled()

    async def isolate_primary(self) -> None:
        async with self._harming_database():
            primary = await self._replica_set.primary()
            others = [m.name for m in self._replica_set.members if m is not primary]
            self._network.cut(primary.name, others)
            for other in others:
                self._network.cut(other, [primary.name])
            await CLOCK.sleep(_MEMBER_AWAY)
            for name in [primary.name, *others]:
                self._network.heal(name)
            await self._replica_set.settled()

    # -- both --------------------------------------------------------------------------------

    async def restart_everything(self) -> None:
        """A power cut: what was acknowledged must have been on the disks."""
        async with self._harming_database():
            async with asyncio.TaskGroup() as group:
                group.create_task(self._nodes.kill(self._nodes.all))
                group.create_task(self._replica_set.kill(self._replica_set.members))
            await self._replica_set.start(self._replica_set.members)
            await self._nodes.start(self._nodes.all)
            await self._replica_set.settled()
            for node in self._nodes.all:
                await node.until_serving()


def _shuffled(faults: Mapping[str, Fault], chance: random.Random) -> Mapping[str, Fault]:
    names = chance.sample(list(faults), len(faults))
    return {name: faults[name] for name in names}

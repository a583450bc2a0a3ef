"""The fixtures that every test has where later-core is installed; a pytest plugin.

What they are made of is loaded when a test asks for it: other tests pay nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from later_core.testing.node import StartNode

#: Failed promises are explained with what was compared, as the tests of an author's own are.
pytest.register_assert_rewrite(
    "later_core.testing.plugin_contract", "later_core.testing.store_contract"
)


@pytest.fixture
def node() -> StartNode:
    """Starts a whole node in this process, on a store in memory, with time in the hand of the test.

    It is ``later_core.testing.node.node``: ``async with node(MyTask()) as later: …``, or
    ``node(plugin=my_module)`` for everything that a plugin brings.
    """
    from later_core.testing.node import node

    return node

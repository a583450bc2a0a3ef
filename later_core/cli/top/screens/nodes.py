"""The page of nodes: who shares the database, and how each stands."""

from __future__ import annotations

from collections.abc import Iterable

from textual.widget import Widget

from later_core.cli.nodes import NODE_COLUMNS, node_row
from later_core.cli.top.feed import Page
from later_core.cli.top.screens.page import BoardPage, Table


class NodesPage(BoardPage):
    """In order of id; the lately dead among them."""

    PAGE = Page.NODES

    def body(self) -> Iterable[Widget]:
        yield Table(*NODE_COLUMNS, id="nodes")

    def draw(self) -> None:
        now = self.desk.now()
        self.query_one("#nodes", Table).fill(
            (listed.status.node.id, node_row(listed, now)) for listed in self.desk.board.nodes
        )

"""Generate ``later_core/client/sync.py`` from the asynchronous client: it is written once.

``python facade/generate.py`` writes; ``--check`` writes nothing and exits 1 when what is checked in is
stale, whatever its format. Run it as ``tox -e facade``, which formats it as well.

Each public method becomes one that waits: a coroutine answers, an asynchronous generator is a plain
one. Signatures and docstrings are taken from the source as they stand.
"""

from __future__ import annotations

import ast
import inspect
import sys
from pathlib import Path

from later_core.client.client import Client

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "later_core" / "client" / "sync.py"

#: In the messages of the wire, for the commands that carry a file through them.
LEFT_OUT = frozenset({"export", "import_batches"})
#: Reads the settings that the commands have read.
LEFT_OUT |= {"from_settings"}

BEGIN = (
    '"""The client for programs without asyncio.'
    ' Generated from the asynchronous one: run tox -e facade."""'
)

CLASS = '''
class SyncClient:
    """``Client`` for programs without asyncio: the same methods, which wait for their answers.

    A context manager. Any number of threads may use it at once; leaving it ends what they wait for with
    ``PortalClosed``. What iterates is best left to run to its end or closed (``contextlib.closing``).
    The callbacks that it is given run in a thread of the client's, and must not use the client.
    """

    def __enter__(self) -> Self:
        self._portal.open()
        try:
            self._portal.call(_enter(self._client))
        except BaseException:
            self._portal.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._portal.call(_leave(self._client))
        finally:
            self._portal.close()

    @classmethod
    def _of(cls, client: Client) -> Self:
        made = cls.__new__(cls)
        made._client, made._portal = client, Portal()
        return made
'''

END = """
async def _enter(client: Client) -> None:
    await client.__aenter__()


async def _leave(client: Client) -> None:
    await client.__aexit__()
"""

OWN_IMPORTS = """
from collections.abc import Generator
from typing import Self
from later_core.client.client import Client
from later_core.client.portal import Portal, feed
"""


def generate() -> str:
    """The module, as text that is not formatted."""
    methods: dict[str, ast.FunctionDef] = {}
    origins: dict[str, ast.Module] = {}
    for owner in Client.__mro__[:-1]:
        module = inspect.getmodule(owner)
        assert module is not None
        tree = ast.parse(inspect.getsource(module))
        (found,) = (
            node
            for node in tree.body
            if isinstance(node, ast.ClassDef) and node.name == owner.__name__
        )
        for node in found.body:
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            if _is_public(node.name) and node.name not in methods:
                methods[node.name] = _converted(node)
                origins[module.__name__] = tree
    first = ["__init__", "from_environment"]
    order = first + sorted(methods.keys() - set(first))
    cls = ast.parse(CLASS).body[0]
    assert isinstance(cls, ast.ClassDef)
    cls.body[1:1] = [methods[name] for name in order[:2]]
    cls.body += [methods[name] for name in order[2:]]
    body = [cls, *ast.parse(END).body]
    imports = _imports(origins, _names(body))
    parts = [BEGIN, "from __future__ import annotations", *imports, *map(ast.unparse, body)]
    return "\n\n".join(parts) + "\n"


def _is_public(name: str) -> bool:
    return name == "__init__" or not (name.startswith("_") or name in LEFT_OUT)


def _converted(node: ast.FunctionDef | ast.AsyncFunctionDef) -> ast.FunctionDef:
    is_class_method = any(ast.unparse(each) == "classmethod" for each in node.decorator_list)
    call = _call(node)
    returns = node.returns
    if node.name == "__init__":
        text = f"self._client = Client({call})\nself._portal = Portal()"
    elif is_class_method:
        text = f"return cls._of(Client.{node.name}({call}))"
    elif _is_generator(node):
        text = f"return self._portal.iterate(self._client.{node.name}({call}))"
        assert isinstance(returns, ast.Subscript)
        returns = ast.parse(f"Generator[{ast.unparse(returns.slice)}]", mode="eval").body
    elif isinstance(node, ast.AsyncFunctionDef):
        text = f"return self._portal.call(self._client.{node.name}({call}))"
    else:
        raise TypeError(f"{node.name} is neither a coroutine nor an asynchronous generator")
    doc = [] if ast.get_docstring(node) is None else node.body[:1]
    return ast.FunctionDef(
        name=node.name,
        args=node.args,
        body=[*doc, *ast.parse(text).body],
        decorator_list=node.decorator_list,
        returns=returns,
        type_params=[],
        lineno=0,
    )


def _is_generator(node: ast.AST) -> bool:
    return isinstance(node, ast.AsyncFunctionDef) and any(
        isinstance(each, ast.Yield) for each in ast.walk(node)
    )


def _call(node: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    """The arguments, handed on; what iterables give is taken in another thread."""

    def handed(argument: ast.arg) -> str:
        kind = ast.unparse(argument.annotation) if argument.annotation else ""
        return f"feed({argument.arg})" if kind.startswith("Iterable[") else argument.arg

    plain = [handed(each) for each in node.args.args[1:]]
    return ", ".join([*plain, *(f"{each.arg}={handed(each)}" for each in node.args.kwonlyargs)])


def _names(body: list[ast.stmt]) -> set[str]:
    return {each.id for node in body for each in ast.walk(node) if isinstance(each, ast.Name)}


def _imports(origins: dict[str, ast.Module], names: set[str]) -> list[str]:
    """For each name that is used: where its module has it from, or that module itself."""
    found: dict[str, set[str]] = {}
    known: set[str] = set()
    sources = [("", ast.parse(OWN_IMPORTS)), *origins.items()]
    for module, tree in sources:
        for node in tree.body:
            places: list[tuple[str, str]] = []
            if isinstance(node, ast.ImportFrom) and node.module:
                places = [(node.module, each.name) for each in node.names]
            elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                places = [(module, node.targets[0].id)]
            for place, name in places:
                if name in names and name not in known:
                    known.add(name)
                    found.setdefault(place, set()).add(name)
    return [
        f"from {place} import {', '.join(sorted(wanted))}"
        for place, wanted in sorted(found.items())
    ]


def is_fresh() -> bool:
    """Whether what is checked in says the same, whatever its format."""
    return TARGET.exists() and _said(TARGET.read_text(encoding="utf-8")) == _said(generate())


def _said(text: str) -> tuple[set[str], list[str]]:
    """The imports in any order, and the rest, with docstrings as people read them."""
    tree = ast.parse(text)
    imports = {
        f"{node.module}.{each.name}"
        for node in tree.body
        if isinstance(node, ast.ImportFrom)
        for each in node.names
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and (doc := ast.get_docstring(node)):
            node.body[0] = ast.Expr(ast.Constant(doc))
    return imports, [ast.dump(node) for node in tree.body if not isinstance(node, ast.ImportFrom)]


def main() -> int:
    """Write, or check; answer the exit code."""
    if "--check" in sys.argv[1:]:
        if not is_fresh():
            print(f"{TARGET.relative_to(ROOT)} is stale: run tox -e facade", file=sys.stderr)
            return 1
        return 0
    TARGET.write_text(generate(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())

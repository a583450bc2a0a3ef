"""The files of a new plugin, from the templates beside this file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from string import Template

from later_core.cli.plugin.naming import Names

#: What every kind has, and what each has of its own.
_COMMON = "common"
_SUFFIX = ".template"
#: A word in the names of templates that stands for the module; ``$`` would trouble some tools.
_MODULE = "MODULE"


def kinds() -> Sequence[str]:
    """What a plugin can be made for."""
    return sorted(
        each.name for each in _templates().iterdir() if each.is_dir() and each.name != _COMMON
    )


def tree(names: Names, kind: str) -> Mapping[Path, str]:
    """The text of each file, by its place in the project."""
    values = asdict(names)
    made: dict[Path, str] = {}
    for folder in (_COMMON, kind):
        for place, template in _walk(_templates() / folder, Path()):
            # Dots of names are left out of the templates': a hidden file is easily left behind.
            name = place.name.removesuffix(_SUFFIX)
            name = f".{name}" if name == "gitignore" else name
            where = Path(str(place.with_name(name)).replace(_MODULE, names.module))
            made[where] = Template(template.read_text(encoding="utf-8")).substitute(values)
    return made


def write(tree: Mapping[Path, str], folder: Path) -> None:
    """Write the files into the folder, which is made where there is none."""
    for place, text in tree.items():
        path = folder / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def _templates() -> Traversable:
    return files("later_core.cli.plugin") / "template"


def _walk(folder: Traversable, place: Path) -> Iterator[tuple[Path, Traversable]]:
    for each in sorted(folder.iterdir(), key=lambda one: one.name):
        if each.is_dir():
            yield from _walk(each, place / each.name)
        elif each.name.endswith(_SUFFIX):
            yield place / each.name, each

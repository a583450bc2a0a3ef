"""What is installed and set on this machine: plugins and settings."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from later_core.catalog import Catalog
from later_core.settings import NAMES, Settings, load
from later_core.telemetry.logs import configure_logging

set_option = click.option(
    "--set", "assigned", metavar="NAME=VALUE", multiple=True, help="A setting of a plugin."
)
config_option = click.option(
    "--config",
    type=click.Path(path_type=Path),
    help="TOML file with settings; else config.toml in the user's own place.",
)


def prepare(flags: Mapping[str, Any], config: Path | None = None) -> tuple[Catalog, Settings]:
    """The plugins that are installed, and the settings, theirs among them."""
    # Until the settings are known: warnings alone, and never between the answers on stdout.
    configure_logging(verbose=0, format="auto", stream=sys.stderr)
    catalog = Catalog.discover(reserved=NAMES)
    return catalog, load(flags, plugin_settings=catalog.settings, config=config)

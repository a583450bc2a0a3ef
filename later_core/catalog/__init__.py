"""Find plugins one by one, quarantine the broken, answer which tasks there are."""

from later_core.catalog.catalog import Catalog
from later_core.catalog.entry_points import Candidate

__all__ = ["Candidate", "Catalog"]

"""``python -m later_core.cli`` is ``later``."""

import sys

from later_core.cli import main

sys.exit(main())

"""The limits of tasks that the pages show are those that the code reads."""

import re
from datetime import timedelta
from pathlib import Path

from later_core import Breaker
from later_core.settings import load


def test_the_settings_on_the_page_are_read(root: Path):
    page = (root / "docs" / "operating.md").read_text(encoding="utf-8")
    names = ("time_limits", "concurrency_limits", "breakers")
    shown = {name: re.findall(rf'^{name} = "(.+)"$', page, re.MULTILINE) for name in names}
    settings = load({name: text for name, [text] in shown.items()})
    assert settings.time_limits == {"report": timedelta(minutes=10), "*": timedelta(hours=1)}
    assert settings.concurrency_limits == {"report": 4, "mail": None}
    assert settings.breakers == {"report": Breaker(crashes=5)}


def test_the_declarations_on_the_page_are_code(root: Path):
    page = (root / "docs" / "writing-a-plugin.md").read_text(encoding="utf-8")
    [block] = re.findall(r"```python\n(class Render\(Task\):\n.+?)```", page, re.DOTALL)
    module: dict[str, object] = {}
    header = "from datetime import timedelta\nfrom later_core import Breaker, Task\n"
    exec(header + block, module)
    render = module["Render"]
    assert vars(render)["breaker"] == Breaker(crashes=5)
    assert vars(render)["time_limit"] == timedelta(minutes=5)
    assert vars(render)["run_in"] == "process"

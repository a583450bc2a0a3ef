"""The dashboard and the alerts ask for metrics that there are, in queries that parse."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml

from later_core.model.state import State
from later_core.telemetry.metrics import METRICS

ROOT = Path(__file__).resolve().parents[2]
DASHBOARD = json.loads((ROOT / "deploy/grafana/later.json").read_text(encoding="utf-8"))
ALERTS = yaml.safe_load((ROOT / "deploy/prometheus/alerts.yaml").read_text(encoding="utf-8"))

SERIES = {name: metric for metric in METRICS for name in metric.in_prometheus}
#: What Prometheus makes of the resource, and of the buckets of a histogram.
EVERYWHERE = {"job", "instance", "le"}
#: What Grafana puts in place of its variables.
VARIABLES = {"$__rate_interval": "5m", "$job": "later", "$task": ".*"}

PANELS = DASHBOARD["panels"]
RULES = [rule for group in ALERTS["groups"] for rule in group["rules"]]
QUERIES = [
    *((f"panel {p['title']}", target["expr"]) for p in PANELS for target in p["targets"]),
    *((f"alert {rule['alert']}", rule["expr"]) for rule in RULES),
]


def parsed(query: str) -> promql_parser.Expr:
    for variable, value in VARIABLES.items():
        query = query.replace(variable, value)
    assert "$" not in query
    return promql_parser.parse(query)


def parts(node: object) -> Iterator[object]:
    """The expression and all inside it."""
    yield node
    for name in ("expr", "lhs", "rhs", "param", "vector_selector", "args"):
        inner = getattr(node, name, None)
        for each in inner if isinstance(inner, list) else [inner]:
            if each is not None and not isinstance(each, str | int | float):
                yield from parts(each)


def selectors(query: str) -> list[Any]:
    found = [p for p in parts(parsed(query)) if isinstance(p, promql_parser.VectorSelector)]
    assert found, query
    return found


@pytest.mark.parametrize(("place", "query"), QUERIES, ids=[place for place, _ in QUERIES])
def test_a_query_asks_for_metrics_and_labels_that_there_are(place: str, query: str):
    known = set(EVERYWHERE)
    for selector in selectors(query):
        assert selector.name in SERIES, f"{place}: {selector.name}"
        labels = {label.replace(".", "_") for label in SERIES[selector.name].attributes}
        known |= labels
        asked = {matcher.name for matcher in selector.matchers.matchers}
        assert asked <= labels | EVERYWHERE, place
        for matcher in selector.matchers.matchers:
            if matcher.name == "later_state":
                assert matcher.value in set(State)
            if matcher.name == "later_feed":
                assert matcher.value in {"watches", "news"}
    grouped = {
        label.strip()
        for labels in re.findall(r"\bby \(([^)]*)\)", query)
        for label in labels.split(",")
    }
    assert grouped <= known, place


def test_prometheus_itself_takes_the_alerts_and_raises_them_when_it_should():
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed; the queries are parsed without it all the same")
    for what, file in (
        ("check", ROOT / "deploy/prometheus/alerts.yaml"),
        ("test", Path(__file__).with_name("alerts_test.yaml")),
    ):
        ended = subprocess.run(
            [promtool, what, "rules", str(file)], capture_output=True, text=True, check=False
        )
        assert ended.returncode == 0, ended.stdout + ended.stderr


def test_the_story_in_which_everything_is_wrong_knows_every_alert():
    file = Path(__file__).with_name("alerts_test.yaml")
    named = set(re.findall(r"\bLater\w+", file.read_text(encoding="utf-8")))
    assert named == {rule["alert"] for rule in RULES}


def test_every_metric_stands_on_the_dashboard():
    asked = {s.name for place, query in QUERIES if place[:5] == "panel" for s in selectors(query)}
    assert {m.name for m in METRICS if not asked & set(m.in_prometheus)} == set()


def test_what_a_panel_and_a_variable_ask_for_goes_to_the_chosen_data_source():
    chosen = {"type": "prometheus", "uid": "${datasource}"}
    for holder in [*PANELS, *(target for panel in PANELS for target in panel["targets"])]:
        assert holder["datasource"] == chosen
    declared = {f"${variable['name']}" for variable in DASHBOARD["templating"]["list"]}
    used = set(re.findall(r"\$\w+", " ".join(query for _, query in QUERIES)))
    assert {name for name in used if not name.startswith("$__")} <= declared
    for variable in DASHBOARD["templating"]["list"]:
        if variable["type"] == "query":
            asked = re.match(r"label_values\((\w+)", variable["query"]["query"])
            assert asked is not None
            assert asked[1] in SERIES


def test_panels_have_ids_of_their_own_and_do_not_overlap():
    assert len({panel["id"] for panel in PANELS}) == len(PANELS)
    taken: set[tuple[int, int]] = set()
    for panel in PANELS:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        assert place["x"] + place["w"] <= 24
        taken |= cells


@pytest.mark.parametrize("rule", RULES, ids=[rule["alert"] for rule in RULES])
def test_an_alert_says_how_grave_it_is_and_what_to_do(rule: dict[str, Any]):
    assert rule.keys() == {"alert", "expr", "for", "labels", "annotations"}
    assert re.fullmatch(r"\d+[sm]", rule["for"])
    assert rule["labels"]["severity"] in {"info", "warning", "critical"}
    assert rule["annotations"].keys() == {"summary", "description"}
    page = (ROOT / "docs/telemetry.md").read_text(encoding="utf-8")
    assert f"| `{rule['alert']}` |" in page


def test_a_query_that_asks_for_nothing_known_is_noticed():
    with pytest.raises(AssertionError):
        test_a_query_asks_for_metrics_and_labels_that_there_are("here", "sum(later_nonsense)")
    with pytest.raises(AssertionError):
        test_a_query_asks_for_metrics_and_labels_that_there_are("here", "later_serving{x='y'}")
    with pytest.raises(ValueError, match="paren"):
        parsed("sum(later_serving")

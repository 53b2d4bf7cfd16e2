"""The rules of Grafana's dashboard-linter (docs/index.md there), for dashboards of one Prometheus data source."""

import re
from collections.abc import Iterator
from typing import Any

Json = dict[str, Any]

DATA_PANELS = {"stat", "timeseries", "table", "bargauge", "gauge", "state-timeline"}
UNITS = {"none", "short", "percent", "percentunit", "bytes", "decbytes", "Bps", "binBps", "pps", "ops", "s", "ms",
         "dtdurations", "dateTimeFromNow", "dateTimeAsIso", "bool_yes_no"}  # fmt: skip
"""Those of packages/grafana-data/src/valueFormats/categories.ts that we may use."""

SELECTOR = re.compile(r"([a-zA-Z_:][\w:]*){([^{}]*)}(\[[^\]]+\])?")
METRIC = re.compile(r"\b(?:idlewire_\w+|process_\w+|scrape_\w+|up)\b")


def complaints(board: Json) -> list[str]:
    """One line per broken rule."""
    return [f"{board['title']}: {line}" for line in (*_dashboard(board), *_variables(board), *_all_panels(board))]


def _dashboard(board: Json) -> Iterator[str]:
    if board["editable"]:
        yield "template-uneditable-rule: it can be edited, and the edits would be lost"


def _variables(board: Json) -> Iterator[str]:
    variables = {each["name"]: each for each in board["templating"]["list"]}
    source = variables.get("datasource")
    if source is None or (source["type"], source["query"], source["label"]) != (
        "datasource",
        "prometheus",
        "Data source",
    ):
        yield "template-datasource-rule: no variable datasource"
    for name in ("job", "instance"):
        found = variables.get(name)
        expected = {"type": "query", "label": name.title(), "multi": True, "includeAll": True, "allValue": ".+"}
        if found is None or {key: found[key] for key in expected} != expected:
            yield f"template-{name}-rule: no variable {name} of which several can be chosen"
    for name, each in variables.items():
        if each["type"] != "query":
            continue
        if each["datasource"] != {"type": "prometheus", "uid": "${datasource}"}:
            yield f"template-{name}: uses another data source"
        if each["refresh"] != 2:
            yield f"template-on-time-change-reload-rule: {name} is not asked for again"
        if not re.fullmatch(r"(label_values|query_result)\(.+\)", each["query"]["query"]):
            yield f"template-label-promql-rule: {name} has no query that Grafana knows"


def _all_panels(board: Json) -> Iterator[str]:
    for panel in board["panels"]:
        if panel["type"] == "row":
            continue
        for line in _panel(panel):
            yield f"{panel['title'] or panel['id']}: {line}"


def _panel(panel: Json) -> Iterator[str]:
    if panel["type"] not in DATA_PANELS:
        yield f"a kind that nobody looked at: {panel['type']}"
    if panel["datasource"] != {"type": "prometheus", "uid": "${datasource}"}:
        yield "panel-datasource-rule: not that of the variable"
    if not panel["title"] or not panel["description"]:
        yield "panel-title-description-rule: one is missing"
    units = [panel["fieldConfig"]["defaults"].get("unit")]
    for override in panel["fieldConfig"]["overrides"]:
        units += [each["value"] for each in override["properties"] if each["id"] == "unit"]
    if not set(units) <= UNITS:
        yield f"panel-units-rule: {units}"
    if not panel["targets"]:
        yield "panel-no-targets-rule: nothing is asked for"
    for target in panel["targets"]:
        if target["datasource"] != panel["datasource"]:
            yield "panel-datasource-rule: a query has another one"
        yield from expression_complaints(target["expr"])


def expression_complaints(expression: str) -> Iterator[str]:
    """The rules about queries; whether it is PromQL is left to Prometheus itself."""
    plain = re.sub(r'"(?:[^"\\]|\\.)*"', '""', expression)
    if len(METRIC.findall(plain)) != len(SELECTOR.findall(plain)):
        yield f"target-job-rule: a metric without matchers: {expression}"
    for match in SELECTOR.finditer(expression):
        name, matchers, window = match.groups()
        for label in ("job", "instance"):
            if f'{label}=~"${label}"' not in matchers:
                yield f"target-{label}-rule: {match[0]}"
        before = expression[: match.start()]
        called = re.search(r"(\w+)\($", before)
        function = called[1] if called else ""
        if window and function in ("rate", "irate") and window != "[$__rate_interval]":
            yield f"target-rate-interval-rule: {match[0]}"
        grows = window and function in ("rate", "irate", "increase")
        if name.endswith("_total") and not grows and not _first_of_range(expression, match):
            yield f"target-counter-agg-rule: {match[0]}"


def _first_of_range(expression: str, match: "re.Match[str]") -> bool:
    """The one exception, of `deploy.grafana.query.in_range`: what a series held when it appeared within the range.

    `increase` does not have it, so a client's only contact with a country would show nowhere.
    """
    counter = re.escape(match[0].removesuffix("[$__range]"))
    whole = rf"min_over_time\({counter}\[\$__range\]\) unless {counter} offset \$__range"
    return any(found.start() <= match.start() < found.end() for found in re.finditer(whole, expression))

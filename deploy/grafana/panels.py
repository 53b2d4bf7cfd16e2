"""Panels as Grafana 10 to 13 read them: the classic JSON."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

Json = dict[str, Any]

SOURCE: Json = {"type": "prometheus", "uid": "${datasource}"}
PLUGIN_VERSION = "10.0.0"

CHOICE = "${datasource:queryparam}&${job:queryparam}&${instance:queryparam}&${__url_time_range}"
"""Of the dashboard, handed on to another one."""

GREEN, ORANGE, RED, GREY, BLUE = "green", "orange", "red", "#8e8e8e", "blue"

STATES = {"foreground": GREEN, "background": ORANGE, "unknown": GREY}
SEVERITIES = {"info": BLUE, "warning": ORANGE, "critical": RED}
STATE_NUMBERS = {0: ("unknown", GREY), 1: ("background", ORANGE), 2: ("foreground", GREEN)}
"""As `query.state_number` counts."""


class Target(NamedTuple):
    """One query, and what its series are called."""

    expression: str
    legend: str = ""


def link_to_client(client: str) -> Json:
    """From a series or a row about a client to its dashboard; `client`: where its id stands."""
    return {"title": "Client", "url": f"/d/idlewire-client?var-client=${{{client}}}&{CHOICE}", "targetBlank": False}


def link_to_page(instance: str, client: str | None = None) -> Json:
    """To the page of the sensor that a series or a row is about."""
    about = f"?client=${{{client}}}" if client else ""
    return {"title": "The sensor's page", "url": f"http://${{{instance}}}/{about}", "targetBlank": True}


def over_time(
    title: str,
    about: str,
    unit: str,
    *targets: Target,
    stacked: bool = False,
    bars: bool = False,
    colors: Mapping[str, str] | None = None,
    links: Sequence[Json] = (),
    most: float | None = None,
) -> Json:
    """Lines, areas or bars."""
    custom = {
        "drawStyle": "bars" if bars else "line",
        "lineWidth": 1,
        "fillOpacity": 60 if bars else 40 if stacked else 10,
        "showPoints": "never",
        "spanNulls": False,
        "stacking": {"mode": "normal" if stacked else "none", "group": "A"},
    }
    defaults: Json = {
        "unit": unit,
        "min": 0,
        "color": {"mode": "palette-classic"},
        "custom": custom,
        "links": list(links),
    }
    if most is not None:
        defaults["max"] = most
    options = {
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }
    return _panel("timeseries", title, about, targets, options, defaults, _colored(colors or {}))


def number(
    title: str,
    about: str,
    unit: str,
    *targets: Target,
    steps: Sequence[tuple[float | None, str]] = ((None, GREEN),),
    words: Mapping[int, tuple[str, str]] | None = None,
    trend: bool = False,
) -> Json:
    """The last value, big; `steps`: from which value on it has which color; `words`: what values mean."""
    options = {
        "reduceOptions": {"values": False, "calcs": ["lastNotNull"], "fields": ""},
        "orientation": "auto",
        "textMode": "auto",
        "colorMode": "value",
        "graphMode": "area" if trend else "none",
        "justifyMode": "auto",
    }
    defaults = {
        "unit": unit,
        "color": {"mode": "thresholds"},
        "thresholds": _steps(steps),
        "mappings": _words(words or {}),
    }
    return _panel("stat", title, about, targets, options, defaults, at_once=not trend)


def ranking(title: str, about: str, unit: str, target: Target, links: Sequence[Json] = (), color: str = BLUE) -> Json:
    """Bars, the longest on top."""
    options = {
        "reduceOptions": {"values": False, "calcs": ["lastNotNull"], "fields": ""},
        "orientation": "horizontal",
        "displayMode": "basic",
        "valueMode": "color",
        "showUnfilled": True,
        "minVizHeight": 10,
        "minVizWidth": 0,
    }
    defaults = {
        "unit": unit,
        "min": 0,
        "color": {"mode": "fixed", "fixedColor": color},
        "links": list(links),
    }
    sorted_target = Target(f"sort_desc({target.expression})", target.legend)
    return _panel("bargauge", title, about, (sorted_target,), options, defaults, at_once=True)


def states_over_time(title: str, about: str, *targets: Target) -> Json:
    """Whether a client was used, as colored spans."""
    options = {
        "mergeValues": True,
        "showValue": "auto",
        "alignValue": "center",
        "rowHeight": 0.8,
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
        "tooltip": {"mode": "single", "sort": "none"},
    }
    defaults = {
        "unit": "none",
        "color": {"mode": "thresholds"},
        "custom": {"lineWidth": 0, "fillOpacity": 70},
        "thresholds": _steps(((None, GREY), (1, ORANGE), (2, GREEN))),
        "mappings": _words(STATE_NUMBERS),
    }
    return _panel("state-timeline", title, about, targets, options, defaults)


class Column(NamedTuple):
    """One column of a table."""

    name: str
    expression: str | None = None
    """None: a label, of that name, of the first column that has an expression."""
    unit: str = "none"
    links: tuple[Json, ...] = ()


def table(title: str, about: str, unit: str, *columns: Column, sort: str) -> Json:
    """Rows by their labels; the expressions of all columns must have the same ones, but for further ones of one."""
    asked = [column for column in columns if column.expression is not None]
    values = [f"Value #{chr(65 + at)}" if len(asked) > 1 else "Value" for at in range(len(asked))]
    sources = dict(zip((column.name for column in asked), values, strict=True))
    names = [sources.get(column.name, column.name) for column in columns]
    shown = {
        "includeByName": dict.fromkeys(names, True),
        "indexByName": {name: at for at, name in enumerate(names)},
        "renameByName": {source: name for name, source in sources.items()},
        "excludeByName": {
            "Time": True,
            "__name__": True,
            "job": "job" not in names,
            "instance": "instance" not in names,
        },
    }
    overrides = [_override(column) for column in columns if column.links or column.expression is not None]
    options = {"showHeader": True, "cellHeight": "sm", "sortBy": [{"displayName": sort, "desc": True}]}
    defaults = {"unit": unit, "custom": {"align": "auto", "cellOptions": {"type": "auto"}, "filterable": True}}
    targets = [Target(column.expression) for column in asked if column.expression is not None]
    panel = _panel("table", title, about, targets, options, defaults, overrides, at_once=True, kind="table")
    panel["transformations"] = [{"id": "merge", "options": {}}, {"id": "organize", "options": shown}]
    return panel


def _panel(
    kind_of_panel: str,
    title: str,
    about: str,
    targets: Sequence[Target],
    options: Json,
    defaults: Json,
    overrides: Sequence[Json] = (),
    *,
    at_once: bool = False,
    kind: Literal["time_series", "table"] = "time_series",
) -> Json:
    """`at_once`: the queries are asked for the last moment only."""
    return {
        "type": kind_of_panel,
        "title": title,
        "description": about,
        "datasource": SOURCE,
        "pluginVersion": PLUGIN_VERSION,
        "fieldConfig": {"defaults": defaults, "overrides": list(overrides)},
        "options": options,
        "targets": [
            {
                "datasource": SOURCE,
                "editorMode": "code",
                "expr": target.expression,
                "format": kind,
                "instant": at_once,
                "legendFormat": target.legend,
                "range": not at_once,
                "refId": chr(65 + at),
            }
            for at, target in enumerate(targets)
        ],
    }


def _override(column: Column) -> Json:
    properties: list[Json] = [] if column.expression is None else [{"id": "unit", "value": column.unit}]
    if column.links:
        properties.append({"id": "links", "value": list(column.links)})
    return {"matcher": {"id": "byName", "options": column.name}, "properties": properties}


def _colored(colors: Mapping[str, str]) -> list[Json]:
    return [
        {
            "matcher": {"id": "byName", "options": name},
            "properties": [{"id": "color", "value": {"mode": "fixed", "fixedColor": color}}],
        }
        for name, color in colors.items()
    ]


def _steps(steps: Sequence[tuple[float | None, str]]) -> Json:
    return {"mode": "absolute", "steps": [{"value": value, "color": color} for value, color in steps]}


def _words(words: Mapping[int, tuple[str, str]]) -> list[Json]:
    named = {
        str(value): {"text": text, "color": color, "index": at}
        for at, (value, (text, color)) in enumerate(words.items())
    }
    return [{"type": "value", "options": named}] if named else []

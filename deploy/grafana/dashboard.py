"""A dashboard around its panels: variables, links, places."""

from collections.abc import Sequence
from typing import NamedTuple

from deploy.grafana.panels import SOURCE, Json

SCHEMA_VERSION = 39
"""Grafana 10.4; later ones migrate it when they load it."""
WIDTH = 24
TAG = "idlewire"


class Line(NamedTuple):
    """Panels side by side that share the width; with a heading where a part begins."""

    height: int
    panels: Sequence[Json]
    heading: str = ""


def dashboard(uid: str, title: str, about: str, lines: Sequence[Line], more: Sequence[Json] = ()) -> Json:
    """`more`: variables beside those that all have."""
    return {
        "uid": uid,
        "title": title,
        "description": about,
        "tags": [TAG],
        "schemaVersion": SCHEMA_VERSION,
        "version": 1,
        "editable": False,
        "graphTooltip": 1,
        "fiscalYearStartMonth": 0,
        "liveNow": False,
        "timezone": "browser",
        "weekStart": "",
        "time": {"from": "now-24h", "to": "now"},
        "timepicker": {},
        "refresh": "1m",
        "annotations": {"list": []},
        "links": [_to_the_others()],
        "templating": {"list": [*_variables(), *more]},
        "panels": _placed(lines),
    }


def query_variable(name: str, label: str, query: str, *, regex: str = "", several: bool = False) -> Json:
    """A variable whose values Prometheus knows; `several` may be chosen at once, or all."""
    every = {"text": ["All"], "value": ["$__all"]}
    return {
        "name": name,
        "label": label,
        "type": "query",
        "datasource": SOURCE,
        "definition": query,
        "query": {"query": query, "refId": f"Idlewire-{name}"},
        "regex": regex,
        "refresh": 2,
        "sort": 1,
        "multi": several,
        "includeAll": several,
        **({"allValue": ".+"} if several else {}),
        "current": every if several else {},
        "options": [],
        "hide": 0,
        "skipUrlSync": False,
    }


def _variables() -> list[Json]:
    source = {
        "name": "datasource",
        "label": "Data source",
        "type": "datasource",
        "query": "prometheus",
        "regex": "",
        "refresh": 1,
        "multi": False,
        "includeAll": False,
        "current": {},
        "options": [],
        "hide": 0,
        "skipUrlSync": False,
    }
    return [
        source,
        query_variable("job", "Job", "label_values(idlewire_build_info, job)", several=True),
        query_variable(
            "instance", "Instance", 'label_values(idlewire_build_info{job=~"$job"}, instance)', several=True
        ),
    ]


def _to_the_others() -> Json:
    return {
        "type": "dashboards",
        "tags": [TAG],
        "title": "Idlewire",
        "asDropdown": False,
        "includeVars": True,
        "keepTime": True,
        "targetBlank": False,
        "icon": "external link",
        "tooltip": "",
        "url": "",
    }


def _placed(lines: Sequence[Line]) -> list[Json]:
    placed: list[Json] = []
    top = 0
    for line in lines:
        if line.heading:
            placed.append(_numbered(_heading(line.heading), len(placed), 0, top, WIDTH, 1))
            top += 1
        borders = [round(at * WIDTH / len(line.panels)) for at in range(len(line.panels) + 1)]
        for panel, left, right in zip(line.panels, borders, borders[1:], strict=False):
            placed.append(_numbered(panel, len(placed), left, top, right - left, line.height))
        top += line.height
    return placed


def _heading(title: str) -> Json:
    return {"type": "row", "title": title, "collapsed": False, "panels": []}


def _numbered(panel: Json, number: int, left: int, top: int, width: int, height: int) -> Json:
    return {"id": number + 1, "gridPos": {"x": left, "y": top, "w": width, "h": height}, **panel}

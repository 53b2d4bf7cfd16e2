"""Findings as text and as JSON."""

import json
from collections.abc import Sequence

from sensor.base.text import printable
from sensor.doctor.findings import Finding

MARKS = {"ok": "  ok  ", "note": " note ", "warning": " WARN ", "error": "ERROR "}


def as_text(findings: Sequence[Finding]) -> str:
    """One line each, the remedy below it; a summary at the end."""
    lines = []
    for each in findings:
        lines.append(f"{MARKS[each.level]} {printable(each.about, 80)}: {printable(each.said, 400)}")
        if each.remedy is not None and each.level != "ok":
            lines.append(f"       -> {printable(each.remedy, 400)}")
    errors, warnings = (sum(each.level == level for each in findings) for level in ("error", "warning"))
    if errors:
        lines.append(f"{errors} thing{'s' if errors > 1 else ''} keep{'' if errors > 1 else 's'} it from working.")
    else:
        so_so = f"; {warnings} warning{'s' if warnings > 1 else ''}" if warnings else ""
        lines.append(f"Nothing keeps it from working{so_so}.")
    return "\n".join(lines)


def as_json(findings: Sequence[Finding]) -> str:
    """`{"works": ..., "findings": [{"level", "about", "said", "remedy"}]}`."""
    rows = [{"level": each.level, "about": each.about, "said": each.said, "remedy": each.remedy} for each in findings]
    return json.dumps({"works": code(findings) == 0, "findings": rows}, indent=1)


def code(findings: Sequence[Finding]) -> int:
    """The command's exit code: 1 where something keeps the sensor from working."""
    return int(any(each.level == "error" for each in findings))

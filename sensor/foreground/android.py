"""Whether a person uses an Android phone, out of the text of its `dumpsys`: pure, for Android 4 to 16.

Any text is taken; what it does not say is None. What a phone prints differs by version and maker, so that the same
thing is looked for in several places, in the order of how far they can be trusted. Of things said twice the first
counts: system services print their own state before what apps have named.
"""

import re
from collections.abc import Container
from typing import NamedTuple

from sensor.model.foreground import Event

COMMAND = "; ".join((
    "dumpsys power | grep -iE 'wakefulness|Display Power|mScreenOn='",
    "dumpsys window policy | grep -E 'Keyguard|[sS]howing|[oO]ccluded|Restricted|Lockscreen'",
    "dumpsys trust | grep deviceLocked",
    "dumpsys activity activities | grep -E 'Resumed|KeyguardShowing|mOccluded'",
    "dumpsys battery | grep powered",
    "echo home=$(cmd package resolve-activity --brief -a android.intent.action.MAIN"
    " -c android.intent.category.HOME 2>/dev/null | tail -n 1)",
))  # fmt: skip
"""Prints what `read` looks for. The app comes after screen and lock: an answer that breaks off claims no use."""

LAUNCHERS = frozenset(
    (
        "app.lawnchair",
        "bitpit.launcher",
        "ch.deletescape.lawnchair.plah",
        "com.amazon.firelauncher",
        "com.amazon.tv.launcher",
        "com.android.launcher",
        "com.android.launcher2",
        "com.android.launcher3",
        "com.android.systemui",
        "com.asus.launcher",
        "com.bbk.launcher2",
        "com.coloros.launcher",
        "com.google.android.apps.nexuslauncher",
        "com.google.android.apps.tv.launcherx",
        "com.google.android.launcher",
        "com.google.android.tvlauncher",
        "com.hihonor.android.launcher",
        "com.htc.launcher",
        "com.huawei.android.launcher",
        "com.lge.launcher3",
        "com.mi.android.globallauncher",
        "com.microsoft.launcher",
        "com.miui.home",
        "com.motorola.launcher3",
        "com.nothing.launcher",
        "com.oppo.launcher",
        "com.sec.android.app.launcher",
        "com.sonymobile.home",
        "com.sonymobile.launcher",
        "com.tcl.android.launcher",
        "com.teslacoilsw.launcher",
        "com.transsion.hilauncher",
        "com.transsion.XOSLauncher",
        "com.vivo.launcher",
        "com.zte.mifavor.launcher",
        "net.oneplus.launcher",
        "org.lineageos.trebuchet",
    )
)
"""In front of these nobody has an app open."""

NO_HOME = frozenset({"android", "com.android.settings"})
"""What stands in for a launcher where none was chosen, or before the first unlock; both are used as apps, too."""


class Reading(NamedTuple):
    """What one look at a phone said; None: it did not say."""

    interactive: bool | None = None
    """The screen is on for a person. Dozing (a clock on a dark screen) and dreaming (a screen saver) are not."""
    locked: bool | None = None
    """The lock screen is what is seen; an app that shows above it (a call, the camera) is seen instead."""
    app: str | None = None
    """The package in front."""
    home: str | None = None
    """The package of the phone's own launcher."""
    powered: bool | None = None


def read(text: str) -> Reading:
    """Out of what COMMAND prints, or the same outputs in full. Takes time linear in the text."""
    home = _HOME.search(text)
    powered = [found[1] == "true" for found in _POWERED.finditer(text)]
    return Reading(
        _interactive(text),
        _locked(text),
        _app(text),
        None if home is None or home[1] in NO_HOME else home[1],
        any(powered) if powered else None,
    )


def told(reading: Reading, launchers: Container[str] = LAUNCHERS) -> tuple[Event, str | None] | None:
    """What is to be reported, and the app; None where the reading does not say whether somebody is there."""
    if reading.interactive is None:
        return None
    if not reading.interactive:
        return "screen_off", None
    if reading.locked:
        return "locked", None
    if reading.app is None:
        return None
    if reading.app in launchers or reading.app == reading.home:
        return "app_closed", None
    return "app_opened", reading.app


# What repeats in these is bounded, and nothing that follows can match into it: no text makes them slow.
_WAKEFULNESS = re.compile(
    r"^[ \t]*\w{0,40}wakefulness\w{0,20}(?:\(\))?=(Awake|Asleep|Dozing|Dreaming|[0-3])\b", re.I | re.M | re.A
)
_DISPLAY = re.compile(r"\bDisplay Power: state=(\w{1,20})|\bmScreenOn=(true|false)\b|\bmScreenState=(\w{1,20})", re.A)
_FLAG = re.compile(
    r"\b(m?KeyguardShowing|isKeyguardShowing|isStatusBarKeyguard|mShowingLockscreen|mDreamingLockscreen|mOccluded)"
    r"=(true|false)\b",
    re.A,
)
_MONITOR = re.compile(r"^[ \t]*KeyguardStateMonitor\b", re.M)
_DELEGATE = re.compile(r"^[ \t]*KeyguardServiceDelegate\b", re.M)
_OWN_FLAG = re.compile(r"^[ \t]*(showing|occluded|mIsShowing|mInputRestricted)=(true|false)\b", re.M)
_TRUST = re.compile(r"\(current\)[^\n]{0,80}?\bdeviceLocked=([01])\b")
_TOP = re.compile(
    r"^[ \t]*(topResumedActivity|ResumedActivity|mResumedActivity|Resumed)[=:] ?"
    r"ActivityRecord\{[^\s{}]{1,40} u[0-9]{1,5} ([\w.]{1,255})/",
    re.M | re.A,
)
_HOME = re.compile(r"^home=([\w.]{1,255})/", re.M | re.A)
_POWERED = re.compile(r"^[ \t]*(?:AC|USB|Wireless|Dock) powered: (true|false)\b", re.M)

_SPAN = 1_500
"""Characters behind the head of a section in which its own lines stand."""


def _interactive(text: str) -> bool | None:
    wakefulness = _WAKEFULNESS.search(text)
    if wakefulness is not None:
        return wakefulness[1].lower() in ("awake", "1")
    display = _DISPLAY.search(text)
    if display is None:
        return None
    state = next(group for group in display.groups() if group is not None)
    return {"ON": True, "VR": True, "true": True, "UNKNOWN": None}.get(state, False)


def _locked(text: str) -> bool | None:
    """The lock screen's own callback and the window controller know best; the delegate's copy may be old.

    `deviceLocked` comes last: it stays 0 where a swipe unlocks.
    """
    flags: dict[str, bool] = {}
    for found in _FLAG.finditer(text):
        flags[found[1]] = flags.get(found[1], False) or found[2] == "true"
    delegate, monitor = _section(_DELEGATE, text), _section(_MONITOR, text)
    if flags.get("mOccluded") or delegate.get("occluded"):
        return False
    if "mIsShowing" in monitor:
        flags["mIsShowing"] = monitor["mIsShowing"] and monitor.get("mInputRestricted", True)
    for names in _BY_TRUST:
        known = [flags[name] for name in names if name in flags]
        if known:
            return any(known)
    if "showing" in delegate:
        return delegate["showing"]
    trust = _TRUST.search(text)
    return None if trust is None else trust[1] == "1"


_BY_TRUST = (
    ("mIsShowing", "mKeyguardShowing", "KeyguardShowing"),
    ("mShowingLockscreen", "mDreamingLockscreen", "isStatusBarKeyguard", "isKeyguardShowing"),
)


def _section(head: re.Pattern[str], text: str) -> dict[str, bool]:
    begin = head.search(text)
    flags: dict[str, bool] = {}
    if begin is not None:
        for found in _OWN_FLAG.finditer(text, begin.end(), begin.end() + _SPAN):
            flags.setdefault(found[1], found[2] == "true")
    return flags


def _app(text: str) -> str | None:
    """Several activities may be resumed side by side (split screen); one of them is on top of all."""
    first: dict[str, str] = {}
    for found in _TOP.finditer(text):
        first.setdefault(found[1], found[2])
    return next((first[name] for name in _TOP_NAMES if name in first), None)


_TOP_NAMES = ("topResumedActivity", "ResumedActivity", "mResumedActivity", "Resumed")

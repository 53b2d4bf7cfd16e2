"""Screen, lock, app and charger out of what phones of several versions and makers print."""

import time
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensor.foreground.android import COMMAND, LAUNCHERS, Reading, read, told
from tests.foreground.dumps import HOMES, VERSIONS, Phone

every_version = pytest.mark.parametrize("version", VERSIONS)


@every_version
def test_an_app_in_front(version):
    reading = read(Phone(version).text())
    assert reading == Reading(True, False, "org.example.chat", HOMES[version].partition("/")[0], False)
    assert told(reading) == ("app_opened", "org.example.chat")


@every_version
@pytest.mark.parametrize("wakefulness", ["Asleep", "Dozing", "Dreaming"])
def test_a_screen_that_is_off_or_shows_a_clock_or_a_screen_saver(version, wakefulness):
    assert told(read(Phone(version, wakefulness=wakefulness).text())) == ("screen_off", None)


@every_version
def test_a_lock_screen_that_a_notification_lit(version):
    assert told(read(Phone(version, locked=True, top=HOMES[version]).text())) == ("locked", None)
    assert told(read(Phone(version, locked=True, top=None).text())) == ("locked", None)


@every_version
def test_the_launcher_in_front_is_no_app(version):
    assert told(read(Phone(version, top=HOMES[version], home=None).text())) == ("app_closed", None)


@every_version
def test_the_camera_above_the_lock_screen_is_used(version):
    camera = Phone(version, locked=True, occluded=True, top="com.android.camera/.Camera")
    assert told(read(camera.text())) == ("app_opened", "com.android.camera")


@every_version
def test_between_two_apps_nothing_is_said(version):
    assert told(read(Phone(version, top=None).text())) is None


@every_version
@pytest.mark.parametrize(
    "change",
    [{}, {"wakefulness": "Dozing"}, {"locked": True}, {"top": None}, {"home": None}, {"usb": True}, {"wireless": True}],
    ids=str,
)
def test_the_command_lets_all_of_it_through(version, change, tmp_path):
    phone = replace(Phone(version), **change)
    printed = phone.printed(COMMAND, tmp_path)
    assert read(printed) == read(phone.text())
    assert len(printed) < len(phone.text())


@every_version
@pytest.mark.parametrize("usb", [False, True])
@pytest.mark.parametrize("wireless", [False, True])
def test_a_charger(version, usb, wireless):
    assert read(Phone(version, usb=usb, wireless=wireless).text()).powered is (usb or wireless)


def test_a_launcher_that_only_the_phone_knows():
    phone = Phone(14, top="org.example.rarelauncher/.Home", home="org.example.rarelauncher/.Home")
    assert told(read(phone.text())) == ("app_closed", None)
    assert told(read(replace(phone, home=None).text())) == ("app_opened", "org.example.rarelauncher")


@pytest.mark.parametrize(
    "home", ["android/com.android.internal.app.ResolverActivity", "com.android.settings/.FallbackHome"]
)
def test_what_stands_in_for_a_launcher_is_an_app_like_others(home):
    reading = read(Phone(14, top="com.android.settings/.Settings", home=home).text())
    assert reading.home is None
    assert told(reading) == ("app_opened", "com.android.settings")


@pytest.mark.parametrize(
    ("text", "interactive"),
    [
        ("  mWakefulness=Awake\r\n", True),
        ("  mWakefulness=Asleep\n", False),
        ("  getWakefulnessLocked()=Dozing\n", False),
        ("  getGlobalWakefulnessLocked()=Awake\n", True),
        ("  getWakefulnessLocked()=1\n", True),
        ("  getWakefulnessLocked()=3\n", False),
        ("  mWakefulnessChanging=false\n", None),
        ("Display Power: state=ON\n", True),
        ("Display Power: state=OFF\n", False),
        ("Display Power: state=DOZE_SUSPEND\n", False),
        ("Display Power: state=UNKNOWN\n", None),
        ("  mScreenOn=true\n", True),
        ("  mScreenOn=false\n", False),
        ("  mScreenState=ON\n", True),
        ("  mWakefulness=Awake\nDisplay Power: state=OFF\n", True),
        ("  mWakefulness=Asleep\nDisplay Power: state=ON\n", False),
        ("  mWakefulness=Sleeping\n", None),
        ("", None),
    ],
)
def test_the_screen(text, interactive):
    assert read(text).interactive is interactive


@pytest.mark.parametrize(
    ("text", "locked"),
    [
        ("    mShowingLockscreen=true mShowingDream=false mDreamingLockscreen=true", True),
        ("    mShowingLockscreen=false mShowingDream=false mDreamingLockscreen=true", True),
        ("    mShowingLockscreen=false mShowingDream=true mDreamingLockscreen=false", False),
        ("  isKeyguardShowing=true", True),
        ("  isStatusBarKeyguard=true", True),
        ("  isStatusBarKeyguard=false", False),
        ("    KeyguardController:\n    mKeyguardShowing=true\n    mOccluded=false", True),
        ("    KeyguardController:\n    mKeyguardShowing=true\n    mOccluded=true", False),
        ("    KeyguardShowing=true AodShowing=false KeyguardGoingAway=false", True),
        ("KeyguardServiceDelegate\n  showing=true\n  showingAndNotOccluded=true\n  occluded=false", True),
        ("KeyguardServiceDelegate\n  showing=false\n  showingAndNotOccluded=true\n  occluded=false", False),
        # The delegate's copy may be old: the monitor is called by the lock screen itself.
        ("KeyguardServiceDelegate\n  showing=true\n  KeyguardStateMonitor\n    mIsShowing=false", False),
        ("KeyguardStateMonitor\n    mIsShowing=true\n    mInputRestricted=true", True),
        ("KeyguardStateMonitor\n    mIsShowing=true\n    mInputRestricted=false", False),
        (' User "Owner" (id=0, flags=0x13) (current): trusted=0, trustManaged=1, deviceLocked=1', True),
        (' User "Owner" (id=0, flags=0x13) (current): trusted=0, trustManaged=1, deviceLocked=0', False),
        # A work profile may be locked while its owner reads the news.
        (' User "Work" (id=10, flags=0x30): trusted=0, trustManaged=0, deviceLocked=1', None),
        # A lock that a swipe opens.
        ("mShowingLockscreen=true\n (current): trusted=0, deviceLocked=0", True),
        ("  showing=true\n  mState=WINDOW_STATE_SHOWING", None),
        ("", None),
    ],
)
def test_the_lock(text, locked):
    assert read(text).locked is locked


@pytest.mark.parametrize(
    ("text", "app"),
    [
        ("    mResumedActivity: ActivityRecord{7fbc105 u0 com.huawei.health/.MainActivity t1573}", "com.huawei.health"),
        ("  ResumedActivity: ActivityRecord{6465198 u0 com.yao.activity/.ActivityE t93}", "com.yao.activity"),
        ("  topResumedActivity=ActivityRecord{12376650 u0 dev.x_y/.MainActivity t349}", "dev.x_y"),
        ("  topResumedActivity=ActivityRecord{1a70f4a u10 com.a.b/com.c.Home} t6294}", "com.a.b"),
        ("  Resumed: ActivityRecord{def u0 com.android.launcher3/.Launcher t1}", "com.android.launcher3"),
        # Split screen: the one on top of all is named by itself.
        (
            "    mResumedActivity: ActivityRecord{1 u0 com.a/.A t1}\n"
            "    mResumedActivity: ActivityRecord{2 u0 com.b/.B t2}\n"
            "  ResumedActivity: ActivityRecord{2 u0 com.b/.B t2}",
            "com.b",
        ),
        ("    mLastPausedActivity: ActivityRecord{1 u0 com.a/.A t1}", None),
        ("    mLastResumedActivity: ActivityRecord{1 u0 com.a/.A t1}", None),
        ("  topResumedActivity=null\n  ResumedActivity: null", None),
        ("  ResumedActivity: ActivityRecord{malformed}", None),
        ("  label=x topResumedActivity=ActivityRecord{1 u0 com.a/.A t1}", None),
        ("", None),
    ],
)
def test_the_app_in_front(text, app):
    assert read(text).app == app


def test_nothing_is_claimed_of_half_an_answer():
    whole = Phone(14).text()
    for end in range(0, len(whole), 7):
        outcome = told(read(whole[:end]))
        assert outcome in (None, ("app_opened", "org.example.chat"))


@pytest.mark.parametrize(
    "text", ["", "sh: dumpsys: not found\n", "Permission Denial: can't dump PowerManager", "\0" * 99]
)
def test_what_is_not_understood_says_nothing(text):
    assert told(read(text)) is None


def test_the_screen_comes_first_and_an_unread_lock_does_not_hide_the_app():
    assert told(Reading(interactive=False, locked=True, app="a.b")) == ("screen_off", None)
    assert told(Reading(interactive=True, locked=None, app="a.b")) == ("app_opened", "a.b")
    assert told(Reading(interactive=None, locked=False, app="a.b")) is None


def test_own_list_of_launchers():
    reading = Reading(interactive=True, locked=False, app="a.b")
    assert told(reading, {"a.b"}) == ("app_closed", None)
    assert "a.b" not in LAUNCHERS


WORDS = st.sampled_from([
    "mWakefulness=Awake", "wakefulness", "Display Power: state=ON", "KeyguardServiceDelegate", "KeyguardStateMonitor",
    "showing=true", "mIsShowing=true", "mOccluded=false", "(current)", "deviceLocked=1", "home=a.b/",
    "AC powered: true", "topResumedActivity=ActivityRecord{1 u0 a.b/", "ActivityRecord{", " ", "\t",
    "\n", "\r\n", "=", "\x85", "\u2028",
])  # fmt: skip


@given(st.lists(WORDS | st.text(max_size=20), max_size=40).map("".join))
def test_any_text_gives_a_reading(text):
    reading = read(text)
    outcome = told(reading)
    assert reading.app is None or len(reading.app) <= 255
    assert outcome is None or outcome[0] in ("screen_off", "locked", "app_closed", "app_opened")


@given(st.binary(max_size=400))
def test_any_bytes_give_a_reading(raw):
    read(raw.decode("utf-8", "replace"))


@pytest.mark.parametrize(
    "piece",
    [
        "\n", " ", "\t", "a", "wakefulness", "mWakefulness=", "KeyguardServiceDelegate\n", "KeyguardStateMonitor ",
        "showing=", "(current)", "(current) deviceLocked=", "topResumedActivity=ActivityRecord{",
        "ActivityRecord{a u0 ", "ResumedActivity: ActivityRecord{a u0 a.", "home=", "home=a.", "AC powered: ",
        "mKeyguardShowing=", "mOccluded=x",
        "Display Power: state=", "\n ",
    ],
)  # fmt: skip
def test_no_text_makes_it_slow(piece):
    """256 KB are the most that is read; with a step per pair of characters this would take minutes."""
    size = 262_144
    begun = time.process_time()
    read((piece * (size // len(piece) + 1))[:size])
    assert time.process_time() - begun < 2.0

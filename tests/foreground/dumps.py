"""What `dumpsys` prints on phones of several Android versions, shortened; written after the system's own dump code."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

HOMES = {
    9: "com.miui.home/.launcher.Launcher",
    10: "com.huawei.android.launcher/.unihome.UniHomeLauncher",
    12: "com.sec.android.app.launcher/.activities.LauncherActivity",
    14: "com.google.android.apps.nexuslauncher/.NexusLauncherActivity",
    16: "com.google.android.apps.nexuslauncher/.NexusLauncherActivity",
}
VERSIONS = tuple(HOMES)
CHAT = "org.example.chat/.ui.MainActivity"


@dataclass(frozen=True)
class Phone:
    """What a phone is doing."""

    version: int
    wakefulness: str = "Awake"
    locked: bool = False
    occluded: bool = False
    top: str | None = CHAT
    """The component in front; None: nothing is resumed."""
    home: str | None = ""
    """None: `cmd package` finds nothing; empty: the launcher of that version."""
    usb: bool = False
    wireless: bool = False
    netstats: str = ""
    detail: str = ""

    def dumps(self) -> dict[str, str]:
        """Arguments of dumpsys -> what it prints."""
        return {
            "power": self._power(),
            "window policy": self._policy(),
            "trust": self._trust(),
            "activity activities": self._activities(),
            "battery": self._battery(),
            "netstats": self.netstats,
            "netstats detail": self.detail,
        }

    def text(self) -> str:
        """All that a poll asks for, in full, one after the other."""
        dumps = self.dumps()
        order = ("power", "window policy", "trust", "activity activities", "battery")
        return "".join(dumps[each] for each in order) + f"home={self._home()}\n" + self.netstats + self.detail

    def printed(self, command: str, folder: Path) -> str:
        """What the command prints where `dumpsys` and `cmd` are this phone's."""
        for arguments, text in self.dumps().items():
            (folder / arguments.replace(" ", "_")).write_text(text)
        (folder / "home").write_text(f"priority=0 preferredOrder=0 match=0x108000\n{self._home()}\n")
        phone = f'dumpsys() {{ cat "{folder}/$(echo "$*" | tr " " "_")"; }}; cmd() {{ cat "{folder}/home"; }}; '
        done = subprocess.run(["sh", "-c", phone + command], capture_output=True, text=True, check=False, timeout=20)
        assert done.stderr == ""
        return done.stdout

    def _home(self) -> str:
        return "No activity found" if self.home is None else self.home or HOMES[self.version]

    def _power(self) -> str:
        key = "getWakefulnessLocked()" if self.version == 12 else "mWakefulness"
        lit = {"Awake": "ON", "Asleep": "OFF", "Dozing": "DOZE", "Dreaming": "ON"}[self.wakefulness]
        return f"""POWER MANAGER (dumpsys power)

Power Manager State:
  Settings power_manager_constants:
    no_cached_wake_locks=true
  mDirty=0x0
  {key}={self.wakefulness}
  mWakefulnessChanging=false
  mIsPowered={_text(self.usb or self.wireless)}
  mPlugType=0
  mBatteryLevel=84
  mLastWakeTime=72104521 (61392 ms ago)
  mHoldingDisplaySuspendBlocker={_text(lit == "ON")}

Settings and Configuration:
  mDreamsEnabledSetting=true
  mDozeAfterScreenOff=true

Wake Locks: size=1
  PARTIAL_WAKE_LOCK              'AudioMix' ACQ=-3s201ms (uid=1041 ws=WorkSource{{10214}})

Display Power: state={lit}
"""

    def _policy(self) -> str:
        on = "ON" if self.wakefulness == "Awake" else "OFF"
        shown = self.locked and not self.occluded
        old = ""
        if self.version == 9:
            old = (
                f"    mShowingLockscreen={_text(shown)} mShowingDream=false"
                f" mDreamingLockscreen={_text(shown)} mDreamingSleepToken=null\n"
            )
        return f"""WINDOW MANAGER POLICY STATE (dumpsys window policy)
    mSafeMode=false mSystemReady=true mSystemBooted=true
    mKeyguardDrawComplete=true mWindowManagerDrawComplete=true
{old}    mStatusBarController:
      mState=WINDOW_STATE_SHOWING
    mKeyguardOccluded={_text(self.occluded)} mKeyguardOccludedChanged=false
    WakeGestureListener
      mTriggerRequested=false
    KeyguardServiceDelegate
      showing={_text(self.locked)}
      showingAndNotOccluded={_text(shown)}
      inputRestricted={_text(self.locked)}
      occluded={_text(self.occluded)}
      secure=true
      dreaming=false
      systemIsReady=true
      deviceHasKeyguard=true
      enabled=true
      offReason=OFF_BECAUSE_OF_USER
      currentUser=0
      bootCompleted=true
      screenState=SCREEN_STATE_{on}
      interactiveState=INTERACTIVE_STATE_AWAKE
      KeyguardStateMonitor
        mIsShowing={_text(self.locked)}
        mSimSecure=false
        mInputRestricted={_text(self.locked)}
        mTrusted=false
        mCurrentUserId=0
    Looper state:
      Looper (android.ui, tid 21) {{5c3f1e9}}
"""

    def _trust(self) -> str:
        locked = int(self.locked)
        owner = f"trusted=0, trustManaged=0, deviceLocked={locked}, strongAuthRequired=0x0"
        if self.version >= 14:
            owner = f"trustState=UNTRUSTED, trustManaged=0, deviceLocked={locked}, isActiveUnlockRunning=0"
        return f"""Trust manager state:
 User "Owner" (id=0, flags=0x4c13) (current): {owner}
   Enabled agents:
   Events:
 User "Work" (id=10, flags=0x30): trusted=0, trustManaged=0, deviceLocked=1, strongAuthRequired=0x1
"""

    def _activities(self) -> str:
        record = "null" if self.top is None else f"ActivityRecord{{6465198 u0 {self.top} t93}}"
        keyguard = f"""KeyguardController:
    mKeyguardShowing={_text(self.locked)}
    mAodShowing={_text(self.wakefulness == "Dozing")}
    mKeyguardGoingAway=false
    mOccluded={_text(self.occluded)}
    mDismissalRequested=false
"""
        if self.version == 9:
            top = f"    mResumedActivity: {record}\n\n  ResumedActivity: {record}\n"
        elif self.version == 10:
            top = f"    mResumedActivity: {record}\n  ResumedActivity:{record}\n\n  ResumedActivity: {record}\n"
        else:
            top = f"  topResumedActivity={record}\n\n  ResumedActivity: {record}\n"
        return f"""ACTIVITY MANAGER ACTIVITIES (dumpsys activity activities)
Display #0 (activities from top to bottom):
  * Task{{4b4dcd6 #93 type=standard A=10214:org.example.other U=0 visible=false sz=1}}
    * Hist #0: ActivityRecord{{1f2e3d4 u0 org.example.other/.Main t12}}
        packageName=org.example.other processName=org.example.other
        Intent {{ act=android.intent.action.MAIN flg=0x10000000 cmp=org.example.other/.Main }}
    mLastPausedActivity: ActivityRecord{{612b379 u0 com.android.systemui/.recents.RecentsActivity t23}}
{top}
  isHomeRecentsComponent=true  {keyguard}  LockTaskController:
    mLockTaskModeState=NONE
"""

    def _battery(self) -> str:
        dock = "  Dock powered: false\n" if self.version >= 14 else ""
        return f"""Current Battery Service state:
  AC powered: false
  USB powered: {_text(self.usb)}
  Wireless powered: {_text(self.wireless)}
{dock}  Max charging current: 0
  status: {2 if self.usb or self.wireless else 3}
  health: 2
  present: true
  level: 84
  scale: 100
"""


def live(sent: dict[int, int], in_front: tuple[int, ...] = ()) -> str:
    """`dumpsys netstats` of Android 14: uid -> bytes sent, and which are in front."""
    rows = "".join(f"      {uid} {sent_bytes * 3} 200 {sent_bytes} 120\n" for uid, sent_bytes in sent.items())
    front = "".join(f"      {uid} 1\n" for uid in in_front)
    return f"""Directory:
  History since boot:
BPF programs:
  mCookieTagMap: OK
  mUidCounterSetMap: OK
  mAppUidStatsMap: OK
  mStatsMapA: OK
  mStatsMapB: OK
BPF map content:
    mCookieTagMap:
      cookie=1042 tag=0x1 uid=10214
    mUidCounterSetMap:
      uid set
      1000 1
      10077 0
{front}    mAppUidStatsMap:
      uid rxBytes rxPackets txBytes txPackets
      1000 90210 300 70121 280
{rows}    mStatsMapA:
      ifaceIndex ifaceName tag_hex uid_int cnt_set rxBytes rxPackets txBytes txPackets
      30 wlan0 0x0 10214 1 2000 20 999999 10
    mStatsMapB:
      ifaceIndex ifaceName tag_hex uid_int cnt_set rxBytes rxPackets txBytes txPackets
    mIfaceStatsMap:
      ifaceIndex ifaceName rxBytes rxPackets txBytes txPackets
      30 wlan0 5000 50 7777777 40
"""


def history(sent: dict[tuple[int, str], tuple[int, ...]], version: int = 12) -> str:
    """`dumpsys netstats detail`: (uid, set) -> bytes sent over Wi-Fi per bucket of two hours."""
    wifi = (
        'type=1, ratType=COMBINED, wifiNetworkKey="Home} uid=1"wpa2-psk, metered=false, defaultNetwork=true, subId=-1'
    )
    cell = "type=0, ratType=COMBINED, subscriberId=262010..., metered=true, defaultNetwork=true, subId=1"
    vpn = "type=17, ratType=COMBINED, metered=false, defaultNetwork=true, subId=-1"
    if version < 12:
        wifi = 'type=WIFI, subType=COMBINED, networkId="Home", metered=false, defaultNetwork=true'
        cell = "type=MOBILE, subType=COMBINED, subscriberId=262010..., metered=true, defaultNetwork=true"
        vpn = "type=VPN, subType=COMBINED, metered=false, defaultNetwork=true"
    histories = "".join(_history(wifi, uid, counted, buckets) for (uid, counted), buckets in sent.items())
    return f"""Active interfaces:
  iface=wlan0 ident=[{{{wifi}}}]
Dev stats:
  Pending bytes: 312
  History since boot:
  ident=[{{{wifi}}}] uid=-1 set=ALL tag=0x0
    NetworkStatsHistory: bucketDuration=3600
      st=1790661600 rb=999999 rp=10 tb=888888 tp=5 op=0
Xt stats:
  Pending bytes: 0
  History since boot:
UID stats:
  Pending bytes: 5029025
  History since boot:
{histories}{_history(cell, 10214, "DEFAULT", (400_000,))}{_history(vpn, 10214, "DEFAULT", (500_000,))}\
{_history(wifi, 1000, "FOREGROUND", (600_000,))}{_history(wifi, -4, "DEFAULT", (700_000,))}\
UID tag stats:
  Pending bytes: 0
  History since boot:
{_history(wifi, 10214, "DEFAULT", (300_000,), tag="0xffffff82")}"""


def _history(ident: str, uid: int, counted: str, buckets: tuple[int, ...], tag: str = "0x0") -> str:
    rows = "".join(
        f"      st={1790661600 + 7200 * at} rb=1000 rp=10 tb={sent} tp=5 op=0\n" for at, sent in enumerate(buckets)
    )
    head = f"  ident=[{{{ident}}}] uid={uid} set={counted} tag={tag}\n    NetworkStatsHistory: bucketDuration=7200\n"
    return head + rows


def _text(value: bool) -> str:
    return "true" if value else "false"

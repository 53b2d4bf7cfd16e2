"""What apps have sent, out of `dumpsys netstats`."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensor.foreground import netstats
from sensor.foreground.netstats import Counter, Sent, counters, has_live
from tests.foreground.dumps import Phone, history, live

CHAT, PHOTOS = 10214, 10301


def test_the_kernels_counters_of_android_14():
    found = counters(live({CHAT: 5_000, PHOTOS: 79_627_356, 1_010_214: 12}, in_front=(CHAT,)))
    assert found is not None
    assert found.live
    assert found.sent == {Counter(CHAT, None): 5_000, Counter(PHOTOS, None): 79_627_356, Counter(1_010_214, None): 12}
    assert found.in_front == {CHAT}


@pytest.mark.parametrize("version", [9, 10, 12])
def test_the_history_of_older_ones_counts_wifi_and_apps_alone(version):
    text = history({(CHAT, "DEFAULT"): (500, 700), (CHAT, "FOREGROUND"): (10,), (PHOTOS, "DEFAULT"): (9,)}, version)
    assert counters(text) == Sent(
        {Counter(CHAT, False): 1200, Counter(CHAT, True): 10, Counter(PHOTOS, False): 9}, live=False
    )


def test_what_the_commands_let_through(tmp_path):
    phone = Phone(14, netstats=live({CHAT: 5}, (CHAT,)), detail=history({(CHAT, "DEFAULT"): (7,)}))
    printed = phone.printed(netstats.LIVE, tmp_path)
    assert counters(printed) == counters(phone.netstats)
    assert "mIfaceStatsMap" not in printed.partition("mStatsMapA:")[0]
    assert counters(phone.printed(netstats.DETAIL, tmp_path)) == counters(phone.detail)


def test_an_old_phone_prints_no_live_counters(tmp_path):
    old = history({(CHAT, "DEFAULT"): (7,)}, 9)
    assert Phone(9, netstats=old).printed(netstats.LIVE, tmp_path) == ""
    assert not has_live(old)
    assert counters("  mAppUidStatsMap: OK\n" + old) == counters(old)
    assert has_live(live({}))


def test_a_map_that_changed_while_it_was_printed_comes_twice():
    row = f"      {CHAT} 15 200 5 120\n"
    again = f"Entry is deleted while dumping, iterating from first entry\n      {CHAT} 15 200 6 121\n"
    found = counters(live({CHAT: 5}).replace(row, row + again))
    assert found is not None
    assert found.sent == {Counter(CHAT, None): 6}


@pytest.mark.parametrize(
    "change",
    [
        ("    mStatsMapA:", "    x"),
        ("    mUidCounterSetMap:", "    x"),
        ("uid rxBytes rxPackets txBytes txPackets", "uid rx tx"),
        ("      10214 1\n", "Map dump end with error: Operation not permitted\n"),
        ("      1000 90210 300 70121 280\n", "Map is null\n"),
    ],
)
def test_live_counters_that_are_not_whole_are_none(change):
    text = live({CHAT: 5}, (CHAT,))
    text = text[: text.index("    mStatsMapB:")].replace("  mStatsMapA: OK\n", "")
    assert counters(text) is not None
    assert counters(text.replace(*change)) is None


def test_a_history_that_breaks_off_is_none():
    text = history({(CHAT, "DEFAULT"): (7,)})
    assert counters(text[: text.index("UID tag stats:")]) is None


def test_the_name_of_a_network_changes_nothing():
    text = history({(CHAT, "DEFAULT"): (7,)}).replace('"Home} uid=1"', '"x}] uid=10999 set=FOREGROUND tag=0x0"')
    assert counters(text) == Sent({Counter(CHAT, False): 7}, live=False)


def test_more_counters_than_a_phone_can_have_are_none():
    assert counters(live(dict.fromkeys(range(10_000, 10_000 + netstats.MAX_COUNTERS), 1))) is not None
    assert counters(live(dict.fromkeys(range(10_000, 10_001 + netstats.MAX_COUNTERS), 1))) is None


WORDS = st.sampled_from([
    "mAppUidStatsMap:\n", "mUidCounterSetMap:\n", "uid rxBytes rxPackets txBytes txPackets\n", "mStatsMapA:\n",
    "10214 1 2 3 4\n", "10214 1\n", "UID stats:\n", "UID tag stats:\n",
    "ident=[{type=1}] uid=10214 set=DEFAULT tag=0x0\n",
    "st=1 rb=1 rp=1 tb=5 tp=1 op=0\n", "99999999999999999999 1 2 3 4\n", " ", "\n", "\u2028",
])  # fmt: skip


@given(st.lists(WORDS | st.text(max_size=20), max_size=40).map("".join))
def test_any_text_gives_counters_or_nothing(text):
    found = counters(text)
    if found is not None:
        assert all(counter.uid % 100_000 >= 10_000 and sent >= 0 for counter, sent in found.sent.items())


@pytest.mark.parametrize(
    "piece",
    [
        "\n",
        "1",
        "1 ",
        "10214 1 2 3 4\n",
        "ident=[{type=1,",
        "ident=[{type=1,] uid=1",
        "] uid=1 set=A tag=0x0",
        "st=1 rb=1 ",
    ],
)
@pytest.mark.parametrize("head", ["mUidCounterSetMap:\nmAppUidStatsMap:\n", "UID stats:\n"])
def test_no_text_makes_it_slow(head, piece):
    size = 1_048_576
    begun = time.process_time()
    counters(head + (piece * (size // len(piece) + 1))[:size])
    assert time.process_time() - begun < 4.0

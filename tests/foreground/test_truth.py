"""A phone's own counters against the sensor's verdicts."""

from hypothesis import given
from hypothesis import strategies as st

from sensor.base.times import SECOND
from sensor.foreground.netstats import Counter, Sent, counters
from sensor.foreground.truth import Sample, Span, Spans, label
from tests.foreground.dumps import history, live

CHAT, PHOTOS = 10214, 10301
PHONE = "60:38:e0:c5:35:a0"


def samples(*taken):
    """(second, uid -> bytes, uids in front) each."""
    return [Sample(at * SECOND, counters(live(sent, front))) for at, sent, front in taken]


def spans(samples):
    """Those of one client, in order of time."""
    measured = Spans()
    return [span for sample in samples if (span := measured.add(sample)) is not None]


def test_photos_that_go_out_behind_a_dark_screen():
    [span] = spans(samples((0, {CHAT: 10, PHOTOS: 1_000}, ()), (10, {CHAT: 10, PHOTOS: 5_001_000}, ())))
    assert span == Span(0, 10 * SECOND, front=0, behind=5_000_000)
    assert span.background is True


def test_an_upload_of_the_app_in_front():
    [span] = spans(samples((0, {CHAT: 10}, (CHAT,)), (10, {CHAT: 9_010}, (CHAT,))))
    assert span == Span(0, 10 * SECOND, front=9_000, behind=0)
    assert span.background is False


def test_whoever_sends_in_front_makes_it_no_background():
    [span] = spans(samples((0, {CHAT: 0, PHOTOS: 0}, (CHAT,)), (10, {CHAT: 1, PHOTOS: 1_000_000}, (CHAT,))))
    assert span.background is False


def test_an_app_that_changed_sides_is_unsure_and_counts_against_background():
    [span] = spans(samples((0, {CHAT: 0, PHOTOS: 0}, (CHAT,)), (10, {CHAT: 100, PHOTOS: 900}, ())))
    assert span == Span(0, 10 * SECOND, front=0, behind=900, unsure=100)
    assert span.background is True
    assert span._replace(behind=899).background is False


def test_where_nothing_was_sent_there_is_no_span():
    assert spans(samples((0, {CHAT: 10}, ()), (10, {CHAT: 10}, (CHAT,)))) == []
    assert spans(samples((0, {CHAT: 10}, ()))) == []


def test_a_restart_of_the_phone_is_no_upload():
    assert spans(samples((0, {CHAT: 10_000}, ()), (10, {CHAT: 3}, ()))) == []


def test_samples_out_of_order_are_not_compared():
    assert spans(samples((10, {CHAT: 0}, ()), (10, {CHAT: 5}, ()), (3, {CHAT: 9}, ()))) == []


def test_a_history_tells_of_all_the_time_it_stood_still():
    texts = [(0, (100,), (7,)), (10, (100,), (7,)), (20, (100,), (7,)), (30, (100, 50), (7,)), (40, (150, 50), (9,))]
    taken = [
        Sample(at * SECOND, counters(history({(CHAT, "DEFAULT"): behind, (CHAT, "FOREGROUND"): front})))
        for at, behind, front in texts
    ]
    assert spans(taken) == [
        Span(0, 30 * SECOND, front=0, behind=50),
        Span(30 * SECOND, 40 * SECOND, front=2, behind=50),
    ]


def test_counters_of_two_kinds_are_not_compared():
    kinds = [counters(live({CHAT: 5})), counters(history({(CHAT, "DEFAULT"): (50,)}))]
    assert spans([Sample(at, kind) for at, kind in enumerate(kinds)]) == []


def test_an_episode_is_labelled_by_all_spans_that_it_touches():
    found = [Span(0, 10, 0, 100), Span(10, 20, 0, 800), Span(20, 30, 5, 0)]
    assert label(5, 15, found) is True
    assert label(5, 25, found) is False
    assert label(30, 40, found) is None
    assert label(0, 10, []) is None


COUNTED = st.builds(
    Sent,
    st.dictionaries(st.builds(Counter, st.integers(10_000, 10_005), st.none() | st.booleans()), st.integers(0, 2**64)),
    st.frozensets(st.integers(10_000, 10_005)),
    st.booleans(),
)


@given(st.lists(st.builds(Sample, st.integers(0, 2**62), COUNTED), max_size=8))
def test_any_samples_give_spans_that_say_something(taken):
    for span in spans(taken):
        assert span.end > span.start
        assert min(span.front, span.behind, span.unsure) >= 0
        assert span.background is not None

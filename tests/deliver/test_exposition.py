"""The text says what the library's own writer says, to the library's own reader."""

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.parser import text_string_to_metric_families

from sensor.deliver.exposition import exposition
from sensor.deliver.families import counter, gauge


class Collected:
    """Families as something that a registry asks."""

    def __init__(self, *families):
        self.families = families

    def collect(self):
        return self.families


def written_by_the_library(*families):
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Collected(*families))
    return generate_latest(registry)


def read(text):
    return {
        (family.name, family.type, family.documentation, sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


def test_a_small_scrape():
    sent = CounterMetricFamily("idlewire_sent_bytes", 'What "it" sent.', labels=("state", "client"))
    sent.add_metric(["background", "a"], 1_234_567)
    up = GaugeMetricFamily("idlewire_up", "Up.", value=0.5)
    assert exposition([sent, up]).decode() == (
        '# HELP idlewire_sent_bytes_total What "it" sent.\n'
        "# TYPE idlewire_sent_bytes_total counter\n"
        'idlewire_sent_bytes_total{client="a",state="background"} 1234567.0\n'
        "# HELP idlewire_up Up.\n"
        "# TYPE idlewire_up gauge\n"
        "idlewire_up 0.5\n"
    )


@given(
    st.dictionaries(st.text(), st.integers(0, 2**53) | st.floats(allow_nan=False), max_size=5),
    st.text(st.characters(exclude_categories=("Cs", "Cc"))),
)
def test_the_same_as_the_librarys(amounts, about):
    amounts = {label.encode("utf-8", "replace").decode(): amount for label, amount in amounts.items()}
    family = GaugeMetricFamily("idlewire_some", about.strip(), labels=("label",))
    for label, amount in amounts.items():
        family.add_metric([label], amount)
    assert read(exposition([family])) == read(written_by_the_library(family))


@given(st.dictionaries(st.tuples(st.text(), st.text()), st.integers(0, 2**53), max_size=5))
def test_families_of_ours_are_written_as_their_samples_would_be(amounts):
    amounts = {tuple(each.encode("utf-8", "replace").decode() for each in key): n for key, n in amounts.items()}
    for family in (counter("some", "Some.", ("state", "client"), amounts), gauge("one", "One.", (), {(): 2.5})):
        assert read(exposition([family])) == read(written_by_the_library(family))


def test_what_is_no_number():
    family = GaugeMetricFamily("a", "A.", labels=("l",))
    for label, value in (("nan", math.nan), ("up", math.inf), ("down", -math.inf)):
        family.add_metric([label], value)
    assert [line.split(" ")[1] for line in exposition([family]).decode().splitlines()[2:]] == ["NaN", "+Inf", "-Inf"]


def test_the_usual_process_metrics():
    families = list(ProcessCollector(registry=None).collect())
    assert read(exposition(families)).keys() == read(written_by_the_library(*families)).keys()


def test_numbers_of_other_kinds_are_written_as_numbers():
    amounts = {("a",): np.int64(5), ("b",): np.float64(0.5), ("c",): True, ("d",): 2**70}
    text = exposition([gauge("x", "X.", ("y",), amounts)])
    assert [value for key, value in read(text).items()] == [5.0, 0.5, 1.0, 2.0**70]

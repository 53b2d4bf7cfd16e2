"""Plain numbers as metric families."""

from sensor.deliver.families import MAX_LABEL, by_label, counter, gauge


def test_a_counter_and_a_gauge() -> None:
    [sample] = counter("frames", "Frames.", ("kind",), {("dns",): 4}).samples
    assert (sample.name, sample.labels, sample.value) == ("idlewire_frames_total", {"kind": "dns"}, 4)
    [sample] = gauge("rows", "Rows.", (), {(): 2}).samples
    assert (sample.name, sample.labels, sample.value) == ("idlewire_rows", {}, 2)


def test_label_values_are_safe_and_short() -> None:
    [sample] = gauge("info", "Names.", ("name",), {("a\nb" + "x" * 500,): 1}).samples
    assert "\n" not in sample.labels["name"]
    assert len(sample.labels["name"]) <= MAX_LABEL


def test_pairs_are_label_values() -> None:
    assert by_label({("push", "taken"): 3}) == {("push", "taken"): 3}

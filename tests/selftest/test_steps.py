"""What is told of each step."""

from sensor.selftest.steps import Report


def test_a_line_as_it_happens():
    said = []
    report = Report(said.append)
    report.done("captured", "IPv4: first packet seen after 0.09 s", 0.09)
    assert said == ["captured     IPv4: first packet seen after 0.09 s                ok"]


def test_what_a_far_end_says_is_shown_safely():
    said = []
    Report(said.append).failed("sink lab", "answered 403 (\x1b[31mno\u202e)", "mend it")
    assert said[0].isprintable()
    assert said[0].endswith("FAILED")


def test_nothing_tried_is_no_success():
    assert not Report(print).succeeded


def test_what_is_off_is_no_failure():
    report = Report(lambda _: None)
    report.left_out("alert", "watchlist is off in the settings")
    assert report.succeeded
    assert report.conclusion() == ["Everything that was tried works."]


def test_what_to_do_is_told_once():
    report = Report(lambda _: None)
    report.failed("counted", "IPv4: 1 of 2 bytes", "try again")
    report.failed("counted", "IPv6: 1 of 2 bytes", "try again")
    assert not report.succeeded
    assert report.conclusion() == ["2 steps failed. What to do:", "  - try again"]


def test_as_json():
    report = Report(lambda _: None)
    report.done("sink lab", "webhook, delivered in 0.05 s", 0.04567)
    assert report.shape() == {
        "succeeded": True,
        "steps": [
            {
                "step": "sink lab",
                "what": "webhook, delivered in 0.05 s",
                "outcome": "ok",
                "seconds": 0.046,
                "advice": None,
            }
        ],
    }

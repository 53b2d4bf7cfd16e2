"""One event is one log line, whatever its text."""

import logging

from sensor.deliver.log import MAX_LINE, alert_line, log_alert
from sensor.deliver.shapes import alert_object


def test_line_and_level(examples, caplog):
    caplog.set_level(logging.INFO)
    log_alert(alert_object(examples.alert(), examples.info))
    log_alert(alert_object(examples.alert(state="resolved"), examples.info))
    assert caplog.messages == [
        "alert warning watchlist firing: phone sent 1.2 KB to Xiaomi in CN (client 60:38:e0:c5:35:a0)",
        "alert warning watchlist resolved: phone sent 1.2 KB to Xiaomi in CN (client 60:38:e0:c5:35:a0)",
    ]
    assert [record.levelno for record in caplog.records] == [logging.WARNING, logging.INFO]


def test_hostile_text_stays_one_visible_line(examples):
    for payload in examples.payloads:
        [alert] = examples.hostile_world(payload).alerts()
        line = alert_line(alert_object(alert, examples.info) | {"summary": payload})
        assert line.isprintable()
        assert len(line) <= MAX_LINE

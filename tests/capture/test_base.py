from sensor.capture.base import Source
from sensor.capture.files import CaptureFiles


def test_capture_files_are_a_source() -> None:
    source: Source = CaptureFiles([])
    assert list(source.batches()) == []

from sensor.capture.files.window import MAX_RECORD, Memory, Window
from sensor.model.frames import PADDING

CHUNK = 1000


class Counting:
    """Bytes 0, 1, 2 ... that come in uneven pieces."""

    def __init__(self, total: int) -> None:
        self.total, self.at = total, 0

    def readinto(self, target: memoryview) -> int:
        size = min(len(target), self.total - self.at, 7 + self.at % 300)
        target[:size] = bytes((self.at + i) & 0xFF for i in range(size))
        self.at += size
        return size


def window(total: int) -> Window:
    memory = Memory(2, CHUNK)
    region = memory.take()
    assert region
    return Window(Counting(total), memory, region)


def test_bytes_keep_their_file_offset_wherever_they_move() -> None:
    it = window(5000)
    seen = 0
    while it.need(10):
        assert it.memory.map[it.low] == seen & 0xFF
        assert it.offset(it.low) == seen
        it.low += 10
        seen += 10
    assert seen == 5000


def test_need_says_no_at_the_end_and_keeps_the_rest() -> None:
    it = window(15)
    assert it.need(10)
    it.low += 10
    assert not it.need(10)
    assert it.high - it.low == 5


def test_skip_passes_more_than_the_memory_holds() -> None:
    it = window(100_000)
    assert it.skip(90_000)
    assert it.offset(it.low) == 90_000
    assert not it.skip(90_000)


def test_a_whole_record_fits_whatever_was_read_before() -> None:
    it = window(MAX_RECORD + 3 * CHUNK)
    assert it.need(CHUNK)
    it.low += CHUNK - 1
    assert it.need(MAX_RECORD)
    assert len(it.memory.map) >= it.low + MAX_RECORD + PADDING


def test_regions_run_out_and_come_back() -> None:
    memory = Memory(1, CHUNK)
    region = memory.take()
    assert region
    assert memory.take() is None
    memory.give_back(region[0])
    assert memory.take() == region

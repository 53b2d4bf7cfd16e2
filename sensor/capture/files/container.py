"""The capture files of a run while they are read, each with its stream, its stretch of memory and its format."""

from collections.abc import Iterator, Sequence

from sensor.capture.files import pcap, pcapng
from sensor.capture.files.stream import Stream
from sensor.capture.files.window import CHUNK, MIN_CHUNK, Broken, Memory, Window
from sensor.errors import CaptureError
from sensor.model.frames import FrameBatch

MAX_OPEN = 256
"""Captures that may overlap in time at one moment; each needs an open file and some memory."""

_READ_AHEAD = 8 << 20
"""Bytes that all open files together hold, about."""


class CaptureFile:
    """An open capture; opening it raises CaptureError with one line that names the file."""

    def __init__(self, path: str, memory: Memory, region: tuple[int, int]) -> None:
        self.region = region
        self.stream = Stream(path)
        self.warnings: list[str] = []
        """One line each, naming the file."""
        self._window = Window(self.stream, memory, region)

    def batches(self, frames: int) -> Iterator[FrameBatch]:
        """All frames in file order, at most `frames` at a time, then closes the file.

        Where the file stops making sense after at least one frame, or is merely cut short, that is the end of it,
        with a warning; where nothing of it can be used, CaptureError.
        """
        any_frame = False
        try:
            for batch in self._format(frames):
                yield batch
                any_frame = True
            self._judge(None, any_frame)
        except Broken as broken:
            self._judge(broken, any_frame)
        finally:
            self.stream.close()

    def _format(self, frames: int) -> Iterator[FrameBatch]:
        window = self._window
        magic = b""
        if window.need(4):
            magic = window.memory.map[window.low : window.low + 4]
        if magic == pcapng.SECTION:
            return pcapng.batches(window, frames)
        if magic in pcap.KINDS:
            return pcap.batches(window, frames)
        name = self.stream.name
        if self.stream.fault:
            raise CaptureError(f"{name}: {self.stream.fault}")
        if window.high == window.low:
            raise CaptureError(f"{name}: empty; expected a pcap or pcapng capture")
        found = window.memory.map[window.low : min(window.high, window.low + 4)].hex()
        raise CaptureError(f"{name}: not a capture: expected pcap or pcapng at offset 0, found {found}")

    def _judge(self, broken: Broken | None, any_frame: bool) -> None:
        """The file ended, because of `broken` or of a fault of the stream if there is one."""
        name, fault = self.stream.name, self.stream.fault
        if fault and (broken is None or broken.cut):
            text = f"{name}: {fault}"
        elif broken:
            text = f"{name}: {broken.text}, at offset {broken.offset}"
        else:
            return
        if not any_frame and not (broken and broken.cut and not fault):
            raise CaptureError(text)
        self.warnings.append(f"{text}; what came before it was read")


class Opener:
    """Opens the files of a run by their number, and remembers what they had to say."""

    def __init__(self, paths: Sequence[str]) -> None:
        self._paths = paths
        regions = min(len(paths), MAX_OPEN)
        self._memory = Memory(regions, max(MIN_CHUNK, min(_READ_AHEAD // regions, CHUNK)))
        self._open: dict[int, CaptureFile] = {}
        self._streams: dict[int, Stream] = {}
        self.warnings: list[str] = []

    def __len__(self) -> int:
        return len(self._paths)

    @property
    def consumed(self) -> int:
        """Bytes of all files that were read, before unpacking."""
        return sum(stream.consumed for stream in self._streams.values())

    def open(self, number: int) -> CaptureFile:
        """Raises CaptureError when it cannot be opened, or MAX_OPEN are open."""
        region = self._memory.take()
        if region is None:
            raise CaptureError(f"more than {MAX_OPEN} captures overlap in time; join some of them first")
        file = CaptureFile(self._paths[number], self._memory, region)
        self._streams[number] = file.stream
        self._open[region[0]] = file
        return file

    def close(self, file: CaptureFile) -> None:
        """Its frames are no longer needed."""
        file.stream.close()
        del self._open[file.region[0]]
        self._memory.give_back(file.region[0])
        self.warnings.extend(file.warnings)

    def close_all(self) -> None:
        """Close what is still open."""
        for file in list(self._open.values()):
            self.close(file)

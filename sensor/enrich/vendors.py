"""Who made a network card: the IEEE's registry of MAC prefixes (MA-L, MA-M and MA-S)."""

import gzip
import zlib
from pathlib import Path

from sensor.enrich.embedded import DATA
from sensor.errors import DataError

PRIVATE = "private address"
"""Said of a locally administered MAC (IEEE 802 section 8.4: bit 0x02 of the first byte): phones make them up."""

_DIGITS = (9, 7, 6)
"""Hex digits of a prefix: MA-S 36 bits, MA-M 28 bits, MA-L 24 bits; the longest wins."""


class Vendors:
    """Vendor names by MAC; 1.6 MB of sorted text, searched in place: 40 us a lookup, so ask once per client."""

    def __init__(self, path: Path = DATA / "oui.tsv.gz") -> None:
        """`path`: gzip of lines `PREFIX<TAB>vendor`, upper-case hex, sorted by prefix."""
        self.path = path
        self._lines = b""

    def open(self) -> None:
        """Reads the table; DataError where that fails."""
        why: object = "it is empty"
        try:
            self._lines = gzip.decompress(self.path.read_bytes())
        except (OSError, zlib.error, EOFError) as error:
            why = error
        if not self._lines:
            raise DataError(f"{self.path} cannot be read ({why}): install idlewire again")

    def close(self) -> None:
        """No vendor is known afterwards."""
        self._lines = b""

    def vendor(self, mac: bytes) -> str | None:
        """As published; PRIVATE for a locally administered MAC; None for groups and unregistered prefixes."""
        if len(mac) != 6 or mac[0] & 1 or not any(mac):
            return None
        if mac[0] & 2:
            return PRIVATE
        digits = mac.hex().upper().encode()
        for count in _DIGITS:
            found = self._find(digits[:count])
            if found is not None:
                return found.decode("utf-8", "replace")
        return None

    def _find(self, prefix: bytes) -> bytes | None:
        lines = self._lines
        low, high = 0, len(lines)
        while low < high:
            start = lines.rfind(b"\n", low, (low + high) // 2) + 1 or low
            end = lines.find(b"\n", start)
            end = high if end < 0 else end
            key, _, vendor = lines[start:end].partition(b"\t")
            if key == prefix:
                return vendor
            if key < prefix:
                low = end + 1
            else:
                high = start
        return None

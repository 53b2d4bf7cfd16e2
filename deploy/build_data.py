"""Makes the data files of sensor/enrich/data/ from their published sources; run by a developer, never at run time.

    python deploy/build_data.py parsedmarc-11.1.0-py3-none-any.whl oui-data-2.1.9.tgz [OUT]

The first is a wheel that holds `parsedmarc/resources/ipinfo/ipinfo_lite.mmdb` (IPinfo Lite, CC BY-SA 4.0), the
second the npm package `oui-data` (BSD-2-Clause). Both are fetched by hand with `pip download --no-deps` and
`npm pack`. The same inputs and liblzma give the same bytes. After a change: renew the figures in
sensor/enrich/data/LICENSES.md (tests/enrich/test_embedded.py compares them) and run `make test`.
"""

import argparse
import gzip
import hashlib
import io
import json
import lzma
import sys
import tarfile
import unicodedata
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import maxminddb

MMDB = "parsedmarc/resources/ipinfo/ipinfo_lite.mmdb"
TABLE = "package/index.json"
NOBODY = {"private", "ieee registration authority"}
"""Written where the holder is not published, and for MA-L blocks that are divided into MA-M or MA-S."""

FILTERS = [{"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "dict_size": 8 << 20}]
"""xz -9e, but with a dictionary of 8 MiB: unpacking then takes 9 MB of memory, not 65; the file grows by 0.2 %."""


def main() -> None:
    """See the module's docstring."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("wheel", type=Path)
    parser.add_argument("oui", type=Path)
    parser.add_argument("out", type=Path, nargs="?", default=Path(__file__).parents[1] / "sensor/enrich/data")
    chosen = parser.parse_args()
    chosen.out.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(chosen.wheel) as wheel:
        mmdb = wheel.read(MMDB)
    write(chosen.out / "ipinfo_lite.mmdb.xz", pack(mmdb))
    write(chosen.out / "ipinfo_lite.json", facts(mmdb))
    with tarfile.open(chosen.oui) as package:
        member = package.extractfile(TABLE)
        table = vendor_table(json.load(member) if member else {})
    # Unpacked at every start, and gzip takes a fifth of the time of xz.
    write(chosen.out / "oui.tsv.gz", gzip.compress(table, 9, mtime=0))


def pack(raw: bytes) -> bytes:
    """As .xz."""
    return lzma.compress(raw, format=lzma.FORMAT_XZ, check=lzma.CHECK_CRC64, filters=FILTERS)


def facts(mmdb: bytes) -> bytes:
    """The sidecar that the sensor reads before it unpacks."""
    with maxminddb.open_database(io.BytesIO(mmdb), maxminddb.MODE_FD) as reader:
        built_at = datetime.fromtimestamp(reader.metadata().build_epoch, UTC)
    content = {
        "name": "IPinfo Lite",
        "file": "ipinfo_lite.mmdb",
        "built_at": f"{built_at:%Y-%m-%dT%H:%M:%SZ}",
        "size": len(mmdb),
        "sha256": hashlib.sha256(mmdb).hexdigest(),
        "origin": "IPinfo (https://ipinfo.io/lite)",
        "licence": "CC BY-SA 4.0 (https://creativecommons.org/licenses/by-sa/4.0/)",
        "attribution": "IP data by IPinfo (ipinfo.io), CC BY-SA 4.0",
    }
    return (json.dumps(content, indent=2) + "\n").encode()


def vendor_table(published: dict[str, str]) -> bytes:
    """Sorted lines `PREFIX<TAB>vendor`, first line of each entry only (no postal addresses)."""
    vendors = {prefix.upper(): tidy(entry) for prefix, entry in published.items()}
    nobody = {prefix for prefix, vendor in vendors.items() if vendor.lower() in NOBODY}
    for prefix in nobody:
        # Left out, a prefix falls to the one around it: that must be nobody's either.
        if len(prefix) > 6 and prefix[:6] in vendors and prefix[:6] not in nobody:
            sys.exit(f"{prefix} is nobody's, but {prefix[:6]} around it is somebody's")
    kept = sorted((prefix, vendor) for prefix, vendor in vendors.items() if prefix not in nobody and vendor)
    return "".join(f"{prefix}\t{vendor}\n" for prefix, vendor in kept if int(prefix[:2], 16) & 3 == 0).encode()


def tidy(entry: str) -> str:
    """The name out of an entry, its spaces single, composed (NFC), without what cannot be seen."""
    name = unicodedata.normalize("NFC", " ".join(entry.partition("\n")[0].split()))
    return "".join(char for char in name if char.isprintable())


def write(path: Path, content: bytes) -> None:
    """Says what LICENSES.md has to say."""
    path.write_bytes(content)
    sys.stdout.write(f"{path.name}: {len(content)} bytes, sha256 {hashlib.sha256(content).hexdigest()}\n")


if __name__ == "__main__":
    main()

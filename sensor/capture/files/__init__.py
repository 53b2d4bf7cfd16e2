"""Capture files: pcap and pcapng in all their variants, plain or gzip, one or several in order of time."""

from sensor.capture.files.captures import CaptureFiles, Stats, open_captures

__all__ = ["CaptureFiles", "Stats", "open_captures"]

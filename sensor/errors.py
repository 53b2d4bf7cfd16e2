"""What can go wrong in a way the user can mend; the command line prints each as one line and exits 1."""


class SensorError(Exception):
    """Base of all errors whose text is meant for the user."""


class ConfigError(SensorError):
    """One or more settings are wrong; `problems` holds one line per key."""

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class CaptureError(SensorError):
    """Frames cannot be had: no permission, or not a capture file."""


class DataError(SensorError):
    """A database that the sensor needs cannot be read."""


class StoreError(SensorError):
    """Something cannot be read from or written to the disk now; later it may."""


class DeliveryError(SensorError):
    """A sink refused or could not be reached; `retry` says whether trying again can help."""

    def __init__(self, message: str, *, retry: bool, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry = retry
        self.retry_after = retry_after

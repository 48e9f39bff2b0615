"""The clock of the machine; everything else is told the time."""

from datetime import UTC, datetime


class SystemClock:
    """The kernel's `Clock` read from the operating system."""

    def now(self) -> datetime:
        """The current instant in UTC, with microseconds."""
        return datetime.now(UTC)

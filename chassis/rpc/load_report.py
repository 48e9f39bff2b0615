"""What a server tells its clients of itself, so that they send less to a replica that is slow or failing.

The clients' weighted round robin reads it from the trailing metadata of an answer now and then: an ORCA load report
(xds.data.orca.v3.OrcaLoadReport), of which three numbers are written. A client's weight of a replica is calls per
second over utilization and errors; we report one call, what it costs in time, and how often one fails.
"""

import struct

KEY = "endpoint-load-metrics-bin"
EVERY_CALLS = 8
EVERY_S = 0.05
WEIGHT_OF_ONE = 0.1  # of the newest call in the moving mean
LONGEST_S = 1.0  # one long calculation does not make a replica slow
BASE_S = 0.01  # replicas that differ by milliseconds are equal

# Fields 6 rps_fractional, 7 eps and 9 application_utilization, all of them doubles.
_REPORT = struct.Struct("<BdBdBd")
_RPS, _EPS, _UTILIZATION = 6 << 3 | 1, 7 << 3 | 1, 9 << 3 | 1


class LoadReport:
    """One server's moving means of seconds per call and of failures."""

    def __init__(self) -> None:
        self._mean_s = 0.0
        self._failed = 0.0
        self._calls = 0
        self._told_at = 0.0

    def ended(self, seconds: float, *, failed: bool = False, cut_off: bool = False) -> None:
        """A call took so long; `failed`: by the server's own fault; `cut_off`: it would have taken longer."""
        if cut_off and seconds < self._mean_s:
            return
        if failed:
            self._failed += WEIGHT_OF_ONE * (1.0 - self._failed)
            return  # a failure in no time does not make the server fast
        self._failed -= WEIGHT_OF_ONE * self._failed
        self._mean_s += WEIGHT_OF_ONE * (min(seconds, LONGEST_S) - self._mean_s)

    def due(self, now: float) -> bool:
        """Whether this answer should carry a report."""
        self._calls += 1
        if self._calls % EVERY_CALLS and now - self._told_at < EVERY_S:
            return False
        self._told_at = now
        return True

    def __bytes__(self) -> bytes:
        return _REPORT.pack(_RPS, 1.0, _EPS, self._failed, _UTILIZATION, BASE_S + self._mean_s)

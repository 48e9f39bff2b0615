"""Where Prometheus reads this process's figures, and the figure that only the process itself can tell: a late loop."""

import asyncio
from functools import partial

from prometheus_client import Histogram, start_http_server

from chassis.lifecycle import Listener, Running

EVERY_S = 0.5
LOOP_LATE = Histogram(
    "muster_loop_late_seconds",
    "How much later than asked for the event loop woke a timer",
    buckets=(0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0),
)


class NoMetricsThere(OSError):
    """The address for metrics cannot be listened on, and what to do."""


async def serve_metrics(listener: Listener) -> Running:
    """Answer `GET /metrics` from a thread, so that a process whose loop is held can still be looked at.

    Raises NoMetricsThere where the address is taken or is the path of a socket.
    """
    if listener.path:
        raise NoMetricsThere("metrics are served over TCP: write MUSTER_METRICS_LISTEN as host:port")
    try:
        server, thread = start_http_server(listener.port, listener.host)
    except OSError:
        raise NoMetricsThere(
            f"metrics cannot be served on {listener.target}: free it or set MUSTER_METRICS_LISTEN to another address"
        ) from None

    async def stop(_grace_s: float) -> None:
        # Shutting down waits for the server's own half-second poll: not on the loop, which others are draining on.
        await asyncio.to_thread(server.shutdown)
        server.server_close()
        await asyncio.to_thread(partial(thread.join, 1.0))

    return Running("metrics", Listener(listener.host, server.server_port).target, stop)


async def watch_loop() -> None:
    """Look how late the loop is, twice a second. For `Lifecycle.spawn`."""
    clock = asyncio.get_running_loop()
    while True:
        due = clock.time() + EVERY_S
        await asyncio.sleep(EVERY_S)
        LOOP_LATE.observe(max(clock.time() - due, 0.0))

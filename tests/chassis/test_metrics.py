"""What Prometheus reads of a process, also when its loop is held."""

import asyncio
import threading
import time
import urllib.error
import urllib.request

import pytest

from chassis.lifecycle import Listener
from chassis.metrics import EVERY_S, NoMetricsThere, serve_metrics, watch_loop
from tests.support.servers import free_port


def scraped(address: str) -> str:
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=10) as answer:
        text: str = answer.read().decode()
    return text


def late_of_50_ms_and_more(text: str) -> float:
    """How many of the looks found the loop more than 50 ms late."""
    buckets = {
        line.split('le="')[1].split('"')[0]: float(line.rsplit(" ", 1)[1])
        for line in text.splitlines()
        if line.startswith("muster_loop_late_seconds_bucket")
    }
    return buckets["+Inf"] - buckets["0.05"]


async def test_a_process_tells_its_figures_while_its_loop_is_held() -> None:
    running = await serve_metrics(Listener("127.0.0.1", 0))
    seen: list[str] = []
    scraper = threading.Thread(target=lambda: seen.append(scraped(running.address)))

    scraper.start()
    scraper.join(30)  # the loop stands still until then

    assert "muster_loop_late_seconds_bucket" in "".join(seen)
    await running.stop(1.0)
    with pytest.raises(urllib.error.URLError):
        await asyncio.to_thread(scraped, running.address)


async def test_a_loop_that_is_held_shows_as_late() -> None:
    running = await serve_metrics(Listener("127.0.0.1", 0))
    watching = asyncio.create_task(watch_loop())
    await asyncio.sleep(0)
    before = late_of_50_ms_and_more(await asyncio.to_thread(scraped, running.address))

    time.sleep(EVERY_S + 0.2)  # noqa: ASYNC251 - the loop stands still on purpose
    await asyncio.sleep(0.01)

    after = late_of_50_ms_and_more(await asyncio.to_thread(scraped, running.address))
    watching.cancel()
    await running.stop(1.0)
    assert after >= before + 1


async def test_an_address_that_is_taken_is_refused_with_what_to_do() -> None:
    taken = Listener("127.0.0.1", free_port())
    first = await serve_metrics(taken)

    with pytest.raises(NoMetricsThere, match="MUSTER_METRICS_LISTEN"):
        await serve_metrics(taken)

    await first.stop(1.0)


async def test_metrics_are_not_served_on_a_socket_file() -> None:
    with pytest.raises(NoMetricsThere, match="host:port"):
        await serve_metrics(Listener.parse("unix:/tmp/metrics"))

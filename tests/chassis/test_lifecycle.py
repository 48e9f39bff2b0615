"""Parts start in order and drain in reverse, and SIGTERM loses nothing that was accepted."""

import asyncio
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from chassis.health import NotReady
from chassis.lifecycle import Lifecycle, Listener, Running, run, serve_http
from chassis.settings import Settings

ROOT = Path(__file__).parents[2]


def a_part(name: str, events: list[str], stop_s: float = 0.0) -> Running:
    async def stop(grace_s: float) -> None:
        await asyncio.sleep(stop_s)
        events.append(name)

    return Running(name, "", stop)


async def test_parts_drain_in_reverse() -> None:
    events: list[str] = []

    async with Lifecycle() as lifecycle:
        for name in ("first", "second", "third"):
            lifecycle.add(a_part(name, events))

    assert events == ["third", "second", "first"]


async def test_a_part_that_fails_to_stop_does_not_keep_the_others() -> None:
    events: list[str] = []

    async def fail(grace_s: float) -> None:
        raise RuntimeError("broken")

    async with Lifecycle() as lifecycle:
        lifecycle.add(a_part("first", events))
        lifecycle.add(Running("broken", "", fail))

    assert events == ["first"]


async def test_a_part_that_hangs_is_left_after_the_grace() -> None:
    events: list[str] = []
    started = time.monotonic()

    async with Lifecycle(grace_s=0.1) as lifecycle:
        lifecycle.add(a_part("first", events))
        lifecycle.add(a_part("hangs", events, stop_s=60.0))

    assert events == ["first"]
    assert time.monotonic() - started < 4


async def test_being_asked_twice_gives_up_the_grace() -> None:
    graces: list[float] = []

    async def stop(grace_s: float) -> None:
        graces.append(grace_s)
        await asyncio.sleep(grace_s)

    lifecycle = Lifecycle(grace_s=30.0)
    lifecycle.add(Running("patient", "", stop))
    draining = asyncio.create_task(lifecycle.run_until_stopped())
    lifecycle.request_stop()
    await asyncio.sleep(0.05)
    lifecycle.request_stop()

    async with asyncio.timeout(3.5):
        await draining

    assert graces[1:] == [0.0]


async def test_what_a_part_closes_is_closed_even_if_it_fails_to_stop() -> None:
    events: list[str] = []

    async def fail(grace_s: float) -> None:
        raise RuntimeError("broken")

    async def close() -> None:
        events.append("closed")

    running = Running("part", "", fail).followed_by(close)

    with pytest.raises(RuntimeError, match="broken"):
        await running.stop(1.0)
    assert events == ["closed"]


async def test_a_loop_that_fails_runs_again() -> None:
    rounds = 0
    enough = asyncio.Event()

    async def loop() -> None:
        nonlocal rounds
        rounds += 1
        if rounds == 3:
            enough.set()
            await asyncio.Event().wait()
        raise ValueError("once more")

    async with Lifecycle() as lifecycle:
        lifecycle.spawn("stubborn", loop)
        async with asyncio.timeout(3):
            await enough.wait()

    assert rounds == 3


async def test_a_loop_that_always_fails_stops_the_process() -> None:
    async def loop() -> None:
        raise ValueError("never")

    lifecycle = Lifecycle()
    lifecycle.spawn("hopeless", loop, max_failures=2)

    async with asyncio.timeout(3):
        await lifecycle.run_until_stopped()

    assert lifecycle.failed == "hopeless"
    with pytest.raises(NotReady, match="hopeless"):
        await lifecycle.check_loops()


async def test_loops_end_with_the_drain() -> None:
    ended = False

    async def loop() -> None:
        nonlocal ended
        try:
            await asyncio.Event().wait()
        finally:
            ended = True

    async with Lifecycle() as lifecycle:
        lifecycle.spawn("waits", loop)
        await asyncio.sleep(0)

    assert ended


async def plain_app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        while (message := await receive())["type"] != "lifespan.shutdown":
            await send({"type": f"{message['type']}.complete"})
        await send({"type": "lifespan.shutdown.complete"})
        return
    await asyncio.sleep(0.3 if scope["path"] == "/slow" else 0)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"done"})


def fetch(address: str, path: str) -> bytes:
    with urllib.request.urlopen(f"http://{address}{path}", timeout=5) as answer:
        content: bytes = answer.read()
        return content


async def test_http_is_served_and_drained() -> None:
    running = await serve_http(plain_app, Listener(), Settings())
    before = signal.getsignal(signal.SIGTERM)
    slow = asyncio.create_task(asyncio.to_thread(fetch, running.address, "/slow"))
    assert await asyncio.to_thread(fetch, running.address, "/") == b"done"
    await asyncio.sleep(0.1)

    await running.stop(5.0)

    assert await slow == b"done"
    assert signal.getsignal(signal.SIGTERM) is before


def test_many_who_connect_at_once_are_let_in_within_few_turns_of_the_loop() -> None:
    served = 0

    async def counts(scope: dict[str, Any], receive: Any, send: Any) -> None:
        nonlocal served
        served += 1
        await plain_app(scope, receive, send)

    async def main() -> tuple[int, bool]:
        running = await serve_http(counts, Listener(), Settings(), lifespan=False)
        host, _, port = running.address.rpartition(":")
        with ExitStack() as stack:
            for _ in range(160):
                client = stack.enter_context(socket.create_connection((host, int(port))))
                client.sendall(b"GET / HTTP/1.1\r\nHost: muster\r\n\r\n")
            turns = 0
            while served < 160 and turns < 1000:
                turns += 1
                await asyncio.sleep(0)
        await running.stop(1.0)
        with socket.socket() as late:
            return turns, late.connect_ex((host, int(port))) != 0

    turns, closed = run(main)

    assert turns < 80  # uvloop alone would let one in per turn
    assert closed


async def test_a_taken_address_is_an_error_and_not_the_end_of_the_process() -> None:
    running = await serve_http(plain_app, Listener(), Settings())

    with pytest.raises(OSError, match="in use"):
        await serve_http(plain_app, Listener.parse(running.address), Settings())

    await running.stop(1.0)


async def test_an_application_that_refuses_to_start_is_an_error_and_not_the_end_of_the_process() -> None:
    async def refuses(scope: dict[str, Any], receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "no"})

    with pytest.raises(RuntimeError, match="did not start"):
        await serve_http(refuses, Listener(), Settings())


PROGRAM = """
import asyncio, sys
from pathlib import Path
from chassis.assertion import Signer, prepare_keys
from chassis.lifecycle import Lifecycle, Listener, run
from chassis.rpc import server
from chassis.rpc.channels import Channels
from chassis.settings import Settings
from tests.chassis.rpc.probe import Probe, a_principal, messages, wire

async def main():
    settings = Settings.embedded(Path(sys.argv[1]))
    prepare_keys(settings)
    lifecycle = Lifecycle(grace_s=float(sys.argv[2]))
    lifecycle.handle_signals()
    probe = Probe()
    registration = (wire.add_ProbeServiceServicer_to_server, probe)
    running = await lifecycle.start(server.start(Listener(), [registration], name="probe", settings=settings))
    channels = Channels(settings, Signer.open(settings), {"probe": running.address})
    client = channels.to("probe")
    stub = client.stub(wire.ProbeServiceStub)
    request = messages.DoRequest(behaviour="sleep", sleep_ms=600)
    calls = [asyncio.create_task(client.call(stub.Do, request, principal=a_principal())) for _ in range(20)]
    while probe.started["sleep"] < 20:
        await asyncio.sleep(0.01)
    print("ready", flush=True)
    await lifecycle.run_until_stopped()
    answers = await asyncio.gather(*calls, return_exceptions=True)
    print("finished", sum(1 for one in answers if not isinstance(one, BaseException)), flush=True)
    await channels.close()

run(main)
"""


def terminated(folder: Path, grace_s: float) -> tuple[str, int, float]:
    """Its last line, its exit code and how long it took, for a process that gets SIGTERM with 20 calls in flight."""
    command = [sys.executable, "-c", PROGRAM, str(folder / "data"), str(grace_s)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = iter(process.stdout.readline, "")
        assert any(line == "ready\n" for line in lines)
        asked = time.monotonic()
        process.send_signal(signal.SIGTERM)
        last = list(lines)[-1]
        code = process.wait(timeout=10)

    return last, code, time.monotonic() - asked


def beside_a_busy_thread() -> float:
    """Seconds of 40 waits of 1 ms while a thread computes: after each the interpreter must be won back.

    1 ms, for on a busy machine the thread wakes late, and what nobody took need not be won back.
    """
    done = threading.Event()

    def compute() -> None:
        while not done.is_set():
            sum(range(1000))

    busy = threading.Thread(target=compute)
    busy.start()
    started = time.perf_counter()
    for _ in range(40):
        time.sleep(0.001)
    taken = time.perf_counter() - started
    done.set()
    busy.join()
    return taken


@pytest.fixture
def python_s_own_interval() -> Iterator[float]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(0.005)
    yield 0.005
    sys.setswitchinterval(before)


def test_a_thread_that_computes_gives_the_loop_its_turn_soon(python_s_own_interval: float) -> None:
    async def main() -> float:
        return min(beside_a_busy_thread() for _ in range(3))

    long = max(beside_a_busy_thread() for _ in range(3))
    short = run(main)

    assert short < long / 2
    assert long > 40 * python_s_own_interval


@pytest.mark.second_process
def test_sigterm_drains_calls_in_flight(tmp_path: Path) -> None:
    last, code, took_s = terminated(tmp_path, 5.0)

    assert (last, code) == ("finished 20\n", 0)
    assert took_s < 5


@pytest.mark.second_process
def test_without_a_grace_the_calls_in_flight_are_lost(tmp_path: Path) -> None:
    """The planted bug: the test above can fail."""
    last, code, _ = terminated(tmp_path, 0.0)

    assert (last, code) == ("finished 0\n", 0)


@pytest.mark.second_process
@pytest.mark.parametrize(("hard", "expected", "warned"), [(8000, 6000, False), (3000, 3000, True)])
def test_a_process_makes_room_for_its_connections(hard: int, expected: int, warned: bool) -> None:
    program = (
        "import resource; from chassis.lifecycle import allow_open_files as allow;"
        f"resource.setrlimit(resource.RLIMIT_NOFILE, (256, {hard})); allow(5000);"
        "print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])"
    )

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert int(done.stdout.split()[-1]) == expected
    assert ("raise ulimit -n" in done.stdout) is warned

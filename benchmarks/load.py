"""Load on an HTTP server: requests per second over kept-alive connections, by wrk where it is installed."""

import asyncio
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

CONNECTIONS = 16

# Each connection asks for the next path of the list; a status that is not 200 is counted.
SCRIPT = """
local paths = {}
for line in io.lines("%(paths)s") do paths[#paths + 1] = line end
local number, failed = 0, 0
request = function()
  number = number %% #paths + 1
  return wrk.format("GET", paths[number])
end
"""


class LoadFailed(RuntimeError):
    """Not every request was answered with 200."""


async def requests_per_second(base_url: str, paths: Sequence[str], token: str, seconds: float) -> float:
    """The rate at which `base_url` answers GETs of `paths`, in turns, over 16 connections. Raises LoadFailed."""
    wrk = shutil.which("wrk")
    if wrk is None:
        return await _own_client(base_url, paths, token, seconds)
    return await asyncio.to_thread(_wrk, wrk, base_url, paths, token, seconds)


def _wrk(wrk: str, base_url: str, paths: Sequence[str], token: str, seconds: float) -> float:
    with tempfile.TemporaryDirectory() as folder:
        listed, script = Path(folder, "paths"), Path(folder, "script.lua")
        listed.write_text("\n".join(paths) + "\n")
        script.write_text(SCRIPT % {"paths": listed})
        command = [wrk, "-t1", f"-c{CONNECTIONS}", f"-d{max(round(seconds), 1)}s", "-s", str(script)]
        command += ["-H", f"Authorization: Bearer {token}", base_url]
        said = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    if "Non-2xx" in said or "Socket errors" in said:
        raise LoadFailed(f"{base_url}: {said}")
    found = re.search(r"Requests/sec:\s+([0-9.]+)", said)
    assert found is not None, said
    return float(found[1])


async def _own_client(base_url: str, paths: Sequence[str], token: str, seconds: float) -> float:
    address = urlsplit(base_url)
    end = time.perf_counter() + seconds

    async def connection(first: int) -> int:
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
        done = 0
        try:
            while time.perf_counter() < end:
                path = paths[(first + done) % len(paths)]
                head = f"GET {path} HTTP/1.1\r\nHost: {address.netloc}\r\nAuthorization: Bearer {token}\r\n\r\n"
                writer.write(head.encode())
                answer = await reader.readuntil(b"\r\n\r\n")
                length = re.search(rb"content-length: ([0-9]+)", answer, re.IGNORECASE)
                if b" 200 " not in answer[:20] or length is None:
                    raise LoadFailed(f"{path}: {answer[:200]!r}")
                await reader.readexactly(int(length[1]))
                done += 1
        finally:
            writer.close()
        return done

    started = time.perf_counter()
    counts = await asyncio.gather(*(connection(number * 7) for number in range(CONNECTIONS)))
    return sum(counts) / (time.perf_counter() - started)

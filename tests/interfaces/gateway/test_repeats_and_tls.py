"""What a gateway sends to another replica when one breaks, and that it speaks TLS when it is told to."""

import asyncio
import datetime
import ssl
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from chassis.lifecycle import Listener
from interfaces.gateway.bootstrap import bootstrap
from tests.interfaces.gateway.conftest import Edge
from tests.support.gateway import started, until
from tests.support.servers import PrivateEnvoy

pytestmark = pytest.mark.second_process


class Breaking:
    """A replica that is healthy, takes every request whole, and dies of it."""

    def __init__(self) -> None:
        self.taken: Counter[str] = Counter()
        self.breaks = True

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                method, path = head.split()[:2]
                if path == "/readyz" or not self.breaks:
                    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                    continue
                self.taken[f"{method} keyed" if "idempotency-key" in head.lower() else method] += 1
                writer.transport.abort()
                return
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()


@asynccontextmanager
async def a_breaking_application(edge: Edge) -> AsyncIterator[Breaking]:
    """Registered beside the application that works."""
    broken = Breaking()
    server = await asyncio.start_server(broken.answer, "127.0.0.1", 0)
    address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    registered = edge.mesh.register("application", address, "http")
    try:
        await until(lambda: edge.envoy.counter("cluster.application.membership_healthy") == 2)
        yield broken
    finally:
        await registered.close()
        server.close()
        await until(lambda: edge.envoy.counter("cluster.application.membership_total") == 1)


async def test_what_may_be_repeated_finds_a_replica_that_works_and_nothing_else_is_sent_twice(edge: Edge) -> None:
    headers = {**edge.bearer(), "Content-Type": "application/json"}
    keyed = {**headers, "Idempotency-Key": "k-1"}
    async with a_breaking_application(edge) as broken:
        reads, changes, singles = [], [], []
        for _ in range(20):
            reads.append((await edge.http.get("/v1/employees", headers=edge.bearer())).status_code)
            changes.append((await edge.http.post("/v1/punches", content=b"{}", headers=keyed)).status_code)
            singles.append((await edge.http.post("/v1/punches", content=b"{}", headers=headers)).status_code)

    assert 503 not in reads
    assert 503 not in changes
    # Without a key, whoever met the broken replica is told so, and nobody else got the request.
    assert broken.taken["POST"] == singles.count(503) > 0
    assert broken.taken["GET"] + broken.taken["POST keyed"] > 0


def a_certificate(folder: Path) -> tuple[Path, Path]:
    """For 127.0.0.1, signed by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    cert, private = folder / "cert.pem", folder / "key.pem"
    cert.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return cert, private


async def test_with_a_certificate_it_speaks_tls_and_nothing_else(edge: Edge, tmp_path: Path) -> None:
    cert, key = a_certificate(tmp_path)

    def configure(port: int, admin_port: int) -> dict[str, Any]:
        return bootstrap(
            replace(
                edge.mesh.settings,
                listeners={"gateway": Listener("127.0.0.1", port)},
                gateway_admin_listener=Listener("127.0.0.1", admin_port),
                gateway_tls_cert=cert,
                gateway_tls_key=key,
            )
        )

    trust = ssl.create_default_context(cafile=str(cert))
    envoy = await started(PrivateEnvoy(configure))
    try:
        async with httpx.AsyncClient(base_url=f"https://localhost:{envoy.port}", verify=trust, timeout=20.0) as http:
            await until(lambda: _fine(http))
            refused = await http.get("/v1/me")
        async with httpx.AsyncClient(base_url=envoy.url, timeout=5.0) as plain:
            assert not await _fine(plain)
        assert refused.status_code == 401
    finally:
        envoy.close()


async def _fine(http: httpx.AsyncClient) -> bool:
    try:
        return (await http.get("/readyz")).status_code == 200
    except httpx.HTTPError:
        return False

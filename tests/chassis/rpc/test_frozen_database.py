"""A database that hangs costs a caller its deadline and no more, through the whole stack."""

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from chassis.assertion import Signer, prepare_keys
from chassis.database import Database, SystemScope
from chassis.lifecycle import Listener
from chassis.principal import current_call
from chassis.rpc import server
from chassis.rpc.channels import Channels
from chassis.rpc.error_map import RemoteError, Trouble
from chassis.settings import Settings
from chassis.tables import context_metadata
from tests.chassis.rpc.probe import Probe, a_principal, messages, wire
from tests.support.servers import PrivateMariaDB


class Asking(Probe):
    """Asks its database something slow."""

    def __init__(self, database: Database, *, hurried: bool) -> None:
        super().__init__()
        self._database = database
        self._hurried = hurried

    async def _ask(self, request: Any) -> None:
        deadline = current_call().deadline if self._hurried else None
        async with self._database.system_read(SystemScope("a test"), deadline) as tx:
            await tx.rows(sa.select(sa.func.sleep(request.sleep_ms / 1000).label("slept")))


def statements(mariadb: PrivateMariaDB) -> int:
    rows = mariadb.execute("SELECT COUNT(*) FROM information_schema.processlist WHERE INFO LIKE 'SELECT sleep%'")
    return int(rows)


@pytest.mark.usefixtures("mariadb")  # `--fast` leaves out what needs a server
@pytest.mark.parametrize("hurried", [True, False], ids=["with its deadline", "the planted bug: without"])
async def test_a_stopped_database_is_answered_in_time_and_no_statement_stays(tmp_path: Path, hurried: bool) -> None:
    loop = asyncio.get_running_loop()
    with PrivateMariaDB() as mariadb:
        database = Database(mariadb.create_database("frozen"), context_metadata())
        settings = Settings.embedded(tmp_path / "data")
        prepare_keys(settings)
        probe = Asking(database, hurried=hurried)
        registration = (wire.add_ProbeServiceServicer_to_server, probe)
        running = await server.start(Listener(), [registration], name="probe", settings=settings)
        channels = Channels(settings, Signer.open(settings), {"probe": running.address})
        client = channels.to("probe")
        do = client.stub(wire.ProbeServiceStub).Do
        await client.call(do, messages.DoRequest(behaviour="ask"), principal=a_principal())

        started = loop.time()
        request = messages.DoRequest(behaviour="ask", sleep_ms=8000)
        calls = [
            asyncio.create_task(client.call(do, request, principal=a_principal(), timeout_s=1.0)) for _ in range(4)
        ]
        await asyncio.sleep(0.3)
        assert await asyncio.to_thread(statements, mariadb) == 4
        os.kill(mariadb.pid, signal.SIGSTOP)
        answers = await asyncio.gather(*calls, return_exceptions=True)
        took_s = loop.time() - started
        os.kill(mariadb.pid, signal.SIGCONT)
        await asyncio.sleep(1.0)
        alive = await asyncio.to_thread(statements, mariadb)

        await channels.close()
        await running.stop(1.0)
        await database.close()

    assert took_s < 1.2
    assert {answer.kind for answer in answers if isinstance(answer, RemoteError)} <= {
        Trouble.TIMEOUT,
        Trouble.UNAVAILABLE,
    }
    assert all(isinstance(answer, RemoteError) for answer in answers)
    assert (alive == 0) is hurried

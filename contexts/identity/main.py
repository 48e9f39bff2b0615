"""Runs the identity data service."""

from pathlib import Path

from muster.identity.v1 import account_pb2_grpc, signing_key_pb2_grpc, tenant_pb2_grpc

from chassis.bus.open import fast_path_of
from chassis.clock import SystemClock
from chassis.crypto import FieldCipher
from chassis.feed import EventFeed, Sequencer
from chassis.health import Readiness, clock_check
from chassis.keyring import FileKeyring
from chassis.lifecycle import Lifecycle, Listener, Running
from chassis.rpc import server
from chassis.safety import open_database
from chassis.settings import Settings
from contexts.identity.container import Container
from contexts.identity.repository.tables import metadata

NAME = "identity"
VERSIONS = Path(__file__).parent / "repository" / "migrations" / "versions"
LOOPS_GRACE_S = 1.0
CLOCK_CHECK_S = 60.0


async def serve(settings: Settings, listener: Listener) -> Running:
    """Serve accounts, tenants and signing keys until stopped.

    Raises UnsafeDatabase, SchemaBehind, KeyringProblem, AddressTaken.
    """
    # Only the embedded form makes its keyring: replicas with a fresh one each could not read each other's fields.
    embedded = settings.database_url(NAME).startswith("sqlite")
    keyring = (FileKeyring.open_or_create if embedded else FileKeyring.open)(settings.keyring)
    database = await open_database(settings, NAME, metadata, VERSIONS)
    fast_path = fast_path_of(settings)
    sequencer = Sequencer(database, NAME, fast_path)
    container = Container(settings=settings, database=database, cipher=FieldCipher(keyring), committed=sequencer.wake)
    passwords, watch = container.passwords(), container.key_watch()
    readiness = Readiness()
    readiness.add("clock", clock_check(SystemClock(), database.now), every_s=CLOCK_CHECK_S)
    loops = Lifecycle(grace_s=LOOPS_GRACE_S)

    async def close() -> None:
        await loops.drain()
        passwords.close()
        await fast_path.close()
        await database.close()

    try:
        await watch.start()
        running = await server.start(
            listener,
            [
                (account_pb2_grpc.add_AccountServiceServicer_to_server, container.accounts()),
                (tenant_pb2_grpc.add_TenantServiceServicer_to_server, container.tenants()),
                (signing_key_pb2_grpc.add_SigningKeyServiceServicer_to_server, container.signing_keys()),
                EventFeed(database).registration,
            ],
            name=NAME,
            settings=settings,
            readiness=readiness,
        )
    except BaseException:
        await close()
        raise
    loops.spawn("identity sequencer", sequencer.run)
    loops.spawn("identity signing keys", watch.follow)
    return running.followed_by(close)

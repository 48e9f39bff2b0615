"""Runs the identity data service: accounts, tenants and signing keys."""

from pathlib import Path

from muster.identity.v1 import account_pb2_grpc, signing_key_pb2_grpc, tenant_pb2_grpc

from chassis.service import DataService, Opened, Parts, open_cipher
from contexts.identity.container import Container
from contexts.identity.repository.tables import metadata


async def build(opened: Opened) -> Parts:
    """Wire the context; the signing keys are read before the first call."""
    container = Container(
        settings=opened.settings,
        database=opened.database,
        cipher=open_cipher(opened.settings, SERVICE.name),
        committed=opened.committed,
    )
    passwords, watch = container.passwords(), container.key_watch()
    await watch.start()

    async def close() -> None:
        passwords.close()

    return Parts(
        [
            (account_pb2_grpc.add_AccountServiceServicer_to_server, container.accounts()),
            (tenant_pb2_grpc.add_TenantServiceServicer_to_server, container.tenants()),
            (signing_key_pb2_grpc.add_SigningKeyServiceServicer_to_server, container.signing_keys()),
        ],
        {"signing keys": watch.follow},
        close,
    )


SERVICE = DataService("identity", metadata, Path(__file__).parent / "repository" / "migrations" / "versions", build)
serve = SERVICE.serve

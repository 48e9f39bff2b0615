"""The one place where identity is wired together."""

from collections.abc import Callable
from typing import Any

from dependency_injector import containers, providers

from chassis.clock import SystemClock
from chassis.crypto import FieldCipher
from chassis.database import Database
from chassis.settings import Settings
from chassis.unit_of_work import Commands, Queries
from contexts.identity.adapters.issuer import TokenIssuer
from contexts.identity.adapters.key_watch import KeyWatch
from contexts.identity.adapters.passwords import HashingCost, Passwords
from contexts.identity.adapters.published import published
from contexts.identity.adapters.servicer import AccountServicer, SigningKeyServicer, TenantServicer
from contexts.identity.adapters.unrecorded import Unrecorded
from contexts.identity.repository.sql import SqlAccountList, SqlSigningKeys, sql_work


def _account_list(cipher: FieldCipher) -> Any:
    return lambda tx: SqlAccountList(tx, cipher)


def _signing_keys(cipher: FieldCipher) -> Any:
    return lambda tx: SqlSigningKeys(tx, cipher)


class Container(containers.DeclarativeContainer):
    """Identity's parts; the settings, the database, the cipher and `committed` are given to it."""

    settings: providers.Dependency[Settings] = providers.Dependency(instance_of=Settings)
    database: providers.Dependency[Database] = providers.Dependency(instance_of=Database)
    cipher: providers.Dependency[FieldCipher] = providers.Dependency(instance_of=FieldCipher)
    committed: providers.Dependency[Callable[[], None]] = providers.Dependency(default=providers.Object(lambda: None))
    clock = providers.Singleton(SystemClock)

    cost = providers.Factory(
        HashingCost,
        rounds=settings.provided.password_rounds,
        memory_kib=settings.provided.password_memory_kib,
    )
    passwords = providers.Singleton(Passwords, cost)
    issuer = providers.Singleton(TokenIssuer, settings.provided.token_issuer)
    work = providers.Singleton(sql_work, cipher)
    commands = providers.Singleton(Commands, database, work, providers.Object(published), clock, committed, cipher)
    unrecorded = providers.Singleton(Unrecorded, database, work, providers.Object(published), clock, committed)
    queries = providers.Singleton(Queries, database, providers.Singleton(_account_list, cipher))
    key_watch = providers.Singleton(
        KeyWatch, database, unrecorded, issuer, providers.Singleton(_signing_keys, cipher), clock
    )

    accounts = providers.Singleton(AccountServicer, commands, queries, unrecorded, passwords, issuer, cipher, clock)
    tenants = providers.Singleton(TenantServicer, commands, queries, passwords)
    signing_keys = providers.Singleton(SigningKeyServicer, commands, issuer, key_watch.provided.read, clock)

"""The one place where identity is wired together."""

from collections.abc import Callable
from typing import Any

from dependency_injector import providers

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


class Container:
    """Identity's parts, each made when it is first asked for."""

    def __init__(
        self, settings: Settings, database: Database, cipher: FieldCipher, committed: Callable[[], None]
    ) -> None:
        clock = providers.Singleton(SystemClock)
        cost = HashingCost(rounds=settings.password_rounds, memory_kib=settings.password_memory_kib)
        issuer = providers.Singleton(TokenIssuer, settings.token_issuer)
        work = providers.Singleton(sql_work, cipher)
        commands = providers.Singleton(Commands, database, work, published, clock, committed, cipher)
        unrecorded = providers.Singleton(Unrecorded, database, work, published, clock, committed)
        queries = providers.Singleton(Queries, database, providers.Singleton(_account_list, cipher))
        keys = providers.Singleton(_signing_keys, cipher)
        self.passwords = providers.Singleton(Passwords, cost)
        self.key_watch = providers.Singleton(KeyWatch, database, unrecorded, issuer, keys, clock)
        self.accounts = providers.Singleton(
            AccountServicer, commands, queries, unrecorded, self.passwords, issuer, cipher, clock
        )
        self.tenants = providers.Singleton(TenantServicer, commands, queries, self.passwords)
        self.signing_keys = providers.Singleton(
            SigningKeyServicer, commands, issuer, self.key_watch.provided.read, clock
        )

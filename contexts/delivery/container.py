"""The one place where delivery is wired together."""

from collections.abc import Callable, Collection
from functools import partial
from typing import Any

from dependency_injector import providers

from chassis.clock import SystemClock
from chassis.crypto import FieldCipher
from chassis.database import Database
from chassis.settings import Settings
from chassis.unit_of_work import Commands, OwnWork, Queries
from contexts.delivery.adapters.published import published
from contexts.delivery.adapters.sending import PROCESS, TURNS, WIDTH, Receivers, Sender
from contexts.delivery.adapters.servicer import WebhookDeliveryServicer, WebhookEndpointServicer
from contexts.delivery.domain.addresses import AddressRule, networks
from contexts.delivery.domain.destination import DialRule
from contexts.delivery.repository.sql import SqlDeliveryLog, interested, sql_work, tenants_to_tidy, tenants_waiting
from kernel.ids import TenantId


def _log(cipher: FieldCipher) -> Any:
    return lambda tx: SqlDeliveryLog(tx, cipher)


def _interested(database: Database) -> Any:
    def ask(tenant_ids: Collection[TenantId]) -> Any:
        return interested(database, tenant_ids)

    return ask


def _receivers(settings: Settings, rule: DialRule, clock: Any) -> Receivers:
    # An HTTP client and the public certificates cost the start of a process that may never send anything.
    from contexts.delivery.adapters.dialling import CheckedNetwork, Post, Resolver

    return Post(
        CheckedNetwork(rule, Resolver()),
        clock,
        timeout_s=settings.webhook_timeout_s,
        connections=TURNS * WIDTH,
        ca_path=settings.webhook_ca_path,
    )


class Container:
    """Delivery's parts, each made when it is first asked for."""

    def __init__(
        self, settings: Settings, database: Database, cipher: FieldCipher, committed: Callable[[], None]
    ) -> None:
        clock = providers.Singleton(SystemClock)
        rule = DialRule(AddressRule(networks(settings.webhook_networks)), settings.webhook_plain)
        work = providers.Singleton(sql_work, cipher)
        commands = providers.Singleton(Commands, database, work, published, clock, committed, cipher)
        queries = providers.Singleton(Queries, database, providers.Singleton(_log, cipher))
        own = providers.Singleton(OwnWork, PROCESS, database, work, published, clock, committed)
        self.sender = providers.Singleton(
            Sender,
            database,
            own,
            tenants_waiting,
            tenants_to_tidy,
            partial(_receivers, settings, rule, SystemClock()),
            clock,
            timeout_s=settings.webhook_timeout_s,
        )
        wake = self.sender.provided.wake
        self.endpoints = providers.Singleton(WebhookEndpointServicer, commands, queries, rule, clock, wake)
        self.deliveries = providers.Singleton(
            WebhookDeliveryServicer, commands, queries, providers.Singleton(_interested, database), wake
        )

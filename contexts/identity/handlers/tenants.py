"""Commands and queries about the tenant of the call."""

from dataclasses import dataclass

from contexts.identity.domain.account import Account, AccountId, AccountState, Grant, GrantId, Login, Role, Scope
from contexts.identity.domain.errors import TenantNotFound, WrongTenant
from contexts.identity.domain.tenant import Tenant
from contexts.identity.repository.port import AccountList, IdentityWork
from kernel.period import Period


@dataclass(frozen=True, slots=True)
class CreateTenant:
    """Start a tenant with its first owner."""

    code: str
    name: str
    home_zone: str
    locale: str
    currency: str
    owner_login: Login
    owner_password_hash: str | None


@dataclass(frozen=True, slots=True)
class Founded:
    """A new tenant and its first owner."""

    tenant: Tenant
    owner: AccountState


async def create_tenant(cmd: CreateTenant, work: IdentityWork) -> Founded:
    """The one command that writes a tenant and an account: without an owner nobody could ever come in.

    Raises TenantMalformed, WrongTenant, TenantExists.
    """
    now = work.now()
    tenant = Tenant.create(cmd.code, cmd.name, cmd.home_zone, cmd.locale, cmd.currency, now)
    if tenant.id != work.tenant_id:
        raise WrongTenant("the call speaks for another tenant than the code names", field="code")
    await work.tenants.add(tenant)
    owner = Account.create(AccountId(work.new_id()), cmd.owner_login, now, password_hash=cmd.owner_password_hash)
    owner.grant(Grant(GrantId(work.new_id()), Role.OWNER, Scope(), Period.since(tenant.today(now)), work.actor))
    await work.accounts.add(owner)
    work.note(tenant.id)
    return Founded(tenant, owner.state)


async def get_tenant(view: AccountList) -> Tenant:
    """Raises TenantNotFound."""
    tenant = await view.tenant()
    if tenant is None:
        raise TenantNotFound("this tenant was never created; create it first")
    return tenant

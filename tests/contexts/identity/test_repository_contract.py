"""What every store of identity promises, on memory, SQLite and MariaDB."""

import asyncio
from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from contexts.identity.domain.account import Login, Role, Scope
from contexts.identity.domain.errors import AccountNotFound, LoginTaken, TenantExists, TooManyTries
from contexts.identity.domain.events import AccountCreated, AccountGranted, TenantCreated
from contexts.identity.domain.policies import MAX_TRIES, WINDOW
from contexts.identity.domain.session import EndReason, Session, SessionId
from contexts.identity.domain.tenant import Tenant
from contexts.identity.handlers.signing_keys import MintedKey, ensure_signing_key, rotate_signing_key
from kernel.errors import Stale
from kernel.ids import INSTALLATION, EmployeeId, Version, tenant_id_of
from tests.support.identity import START, TODAY, Store, a_grant, an_account, events_of

ACME, OTHER = tenant_id_of("acme"), tenant_id_of("other")


def acme() -> Tenant:
    return Tenant.create("acme", "爱可美 GmbH", "Asia/Shanghai", "zh-CN", "CNY", START)


async def test_everything_about_an_account_is_read_back(store: Store) -> None:
    account = an_account("李伟@例子.中国", employee_id=EmployeeId(UUID(int=5)))
    account.grant(a_grant(Role.HR_ADMIN, scope=Scope(department="ENG"), end=TODAY + timedelta(days=30), id=UUID(int=1)))
    account.grant(a_grant(Role.PAYROLL_ADMIN, scope=Scope(legal_entity="ACME-CN"), id=UUID(int=2)))
    async with store.work(ACME) as work:
        await work.accounts.add(account)

    async with store.work(ACME) as work:
        read = await work.accounts.get(account.state.id)
        found = await work.accounts.by_login(Login("李伟@例子.中国"))

    assert read.state == account.state
    assert read.state.version == 1
    assert read.state.created_time == START
    assert found is not None
    assert found.state == account.state


async def test_a_saved_change_is_read_back_and_raises_the_version(store: Store) -> None:
    account = an_account("li", Role.EMPLOYEE, Role.MANAGER)
    async with store.work(ACME) as work:
        await work.accounts.add(account)

    async with store.work(ACME) as work:
        changed = await work.accounts.get(account.state.id, seen=Version(1))
        changed.revoke(changed.state.grants[0].id)
        changed.grant(a_grant(Role.AUDITOR))
        await work.accounts.save(changed)

    async with store.view(ACME) as view:
        read = await view.get(account.state.id)
    assert (read.version, {grant.role for grant in read.grants}) == (2, {grant.role for grant in changed.state.grants})
    assert read == changed.state


async def test_events_are_saved_with_the_state_in_their_order(store: Store) -> None:
    account = an_account("li", Role.OWNER)
    async with store.work(ACME) as work:
        await work.accounts.add(account)

    created, granted = events_of(store.saved)
    assert (type(created), type(granted)) == (AccountCreated, AccountGranted)
    assert {(one.aggregate_id, one.aggregate_version) for one in store.saved} == {(account.state.id, 1)}


async def test_a_work_that_fails_leaves_nothing(store: Store) -> None:
    account = an_account()

    async def fail() -> None:
        async with store.work(ACME) as work:
            await work.accounts.add(account)
            raise RuntimeError("the power is gone")

    with pytest.raises(RuntimeError):
        await fail()

    async with store.view(ACME) as view:
        assert await view.find(login=None, employee_id=None, after=None, limit=10) == []
    assert store.saved == []


async def test_a_tenant_does_not_see_the_accounts_of_another(store: Store) -> None:
    account = an_account()
    async with store.work(ACME) as work:
        await work.accounts.add(account)

    async with store.work(OTHER) as work:
        assert await work.accounts.by_login(account.state.login) is None
        with pytest.raises(AccountNotFound):
            await work.accounts.get(account.state.id)
        await work.accounts.add(an_account(account.state.login))


async def test_a_login_belongs_to_one_account_of_a_tenant(store: Store) -> None:
    async with store.work(ACME) as work:
        await work.accounts.add(an_account("li"))

    with pytest.raises(LoginTaken):
        async with store.work(ACME) as work:
            await work.accounts.add(an_account("li"))


async def test_the_second_of_two_writers_is_refused(store: Store) -> None:
    account = an_account()
    async with store.work(ACME) as work:
        await work.accounts.add(account)
    async with store.work(ACME) as work:
        first = await work.accounts.get(account.state.id)
        second = await work.accounts.get(account.state.id)
        first.grant(a_grant(Role.OWNER))
        await work.accounts.save(first)

    second.grant(a_grant(Role.AUDITOR))
    with pytest.raises(Stale):
        async with store.work(ACME) as work:
            await work.accounts.save(second)
    with pytest.raises(Stale):
        async with store.work(ACME) as work:
            await work.accounts.get(account.state.id, seen=Version(1))


async def test_of_many_writers_with_one_version_one_wins(store: Store) -> None:
    account = an_account()
    async with store.work(ACME) as work:
        await work.accounts.add(account)

    async def write() -> bool:
        try:
            async with store.work(ACME) as work:
                mine = await work.accounts.get(account.state.id, seen=Version(1))
                mine.grant(a_grant(Role.AUDITOR))
                await work.accounts.save(mine)
        except Stale:
            return False
        return True

    assert sorted(await asyncio.gather(*(write() for _ in range(8)))) == [False] * 7 + [True]


async def test_of_many_accounts_with_one_login_one_is_made(store: Store) -> None:
    async def add() -> bool:
        try:
            async with store.work(ACME) as work:
                await work.accounts.add(an_account("li"))
        except LoginTaken:
            return False
        return True

    assert sorted(await asyncio.gather(*(add() for _ in range(8)))) == [False] * 7 + [True]


async def test_accounts_are_listed_in_the_order_of_their_ids_page_by_page(store: Store) -> None:
    accounts = [an_account(f"login-{number}", Role.EMPLOYEE, id=UUID(int=number + 1)) for number in range(7)]
    async with store.work(ACME) as work:
        for account in reversed(accounts):
            await work.accounts.add(account)

    async with store.view(ACME) as view:
        first = await view.find(login=None, employee_id=None, after=None, limit=4)
        second = await view.find(login=None, employee_id=None, after=first[-1].id, limit=4)
    assert [*first, *second] == [account.state for account in accounts]


async def test_accounts_are_found_by_login_and_by_employee(store: Store) -> None:
    li, wang = an_account("li", employee_id=EmployeeId(UUID(int=1))), an_account("wang")
    async with store.work(ACME) as work:
        await work.accounts.add(li)
        await work.accounts.add(wang)

    async with store.view(ACME) as view:
        by_login = await view.find(login=Login("wang"), employee_id=None, after=None, limit=10)
        by_employee = await view.find(login=None, employee_id=EmployeeId(UUID(int=1)), after=None, limit=10)
    assert (by_login, by_employee) == ([wang.state], [li.state])


@pytest.mark.parametrize(
    ("other", "lasting"),
    [
        (an_account("b", Role.OWNER), True),
        (an_account("b", Role.HR_ADMIN), False),
        (an_account("b", Role.OWNER, password_hash=None), False),
    ],
)
async def test_another_lasting_owner_is_found(store: Store, other: object, lasting: bool) -> None:
    owner = an_account("a", Role.OWNER)
    another = an_account(other.state.login, password_hash=other.state.password_hash)  # type: ignore[attr-defined]
    for grant in other.state.grants:  # type: ignore[attr-defined]
        another.grant(a_grant(grant.role))
    async with store.work(ACME) as work:
        await work.accounts.add(owner)
        await work.accounts.add(another)

        assert await work.accounts.another_lasting_owner(owner.state.id, TODAY) is lasting
        assert await work.accounts.another_lasting_owner(another.state.id, TODAY) is True


async def test_sessions_are_read_back_listed_ended_and_forgotten(store: Store) -> None:
    account = an_account()
    sessions = [
        Session.open(
            SessionId(UUID(int=number)), account.state.id, bytes([number]) * 32, START + timedelta(days=number)
        )
        for number in (1, 2, 3)
    ]
    async with store.work(ACME) as work:
        await work.accounts.add(account)
        for session in sessions:
            await work.sessions.add(session)
        refreshed = sessions[0].refreshed(b"\x01" * 32, b"\x09" * 32, START + timedelta(days=2), uuid4())
        await work.sessions.save(refreshed)

    async with store.work(ACME) as work:
        assert await work.sessions.get(sessions[0].id) == refreshed
        assert await work.sessions.get(SessionId(UUID(int=9))) is None
        assert list(await work.sessions.live_of(account.state.id, START + timedelta(days=3))) == [
            refreshed,
            *sessions[1:],
        ]
        await work.sessions.forget(account.state.id, sessions[2].expires_time)
        await work.sessions.end_all(account.state.id, EndReason.DISABLED, START)

    async with store.work(ACME) as work:
        assert await work.sessions.get(sessions[1].id) is None
        assert await work.sessions.get(sessions[2].id) == sessions[2].ended(EndReason.DISABLED, START)
        assert list(await work.sessions.live_of(account.state.id, START)) == []


async def test_ten_tries_are_counted_and_the_eleventh_is_refused(store: Store) -> None:
    async def attempt() -> bool:
        try:
            async with store.work(ACME) as work:
                await work.tries.count(Login("nobody"), store.clock.now())
        except TooManyTries:
            return False
        return True

    assert [await attempt() for _ in range(MAX_TRIES + 2)] == [True] * MAX_TRIES + [False] * 2
    store.clock.pass_(minutes=15)
    assert await attempt()


async def test_parallel_tries_are_counted_too(store: Store) -> None:
    async def attempt() -> bool:
        try:
            async with store.work(ACME) as work:
                await work.tries.count(Login("nobody"), START)
        except TooManyTries:
            return False
        return True

    assert sum(await asyncio.gather(*(attempt() for _ in range(15)))) == MAX_TRIES


async def test_tries_are_forgotten_after_a_success_and_after_their_window(store: Store) -> None:
    async with store.work(ACME) as work:
        for login in ("a", "a", "b"):
            await work.tries.count(Login(login), START)
        await work.tries.forget(Login("a"))
        assert (await work.tries.count(Login("a"), START)).count == 1
        await work.tries.forget_before(START)
        assert (await work.tries.count(Login("b"), START)).count == 2
        await work.tries.forget_before(START + WINDOW)
        assert (await work.tries.count(Login("b"), START)).count == 1


async def test_a_tenant_is_read_back_and_is_there_once(store: Store) -> None:
    async with store.work(ACME) as work:
        assert await work.tenants.get() is None
        await work.tenants.add(acme())

    async with store.work(ACME) as work:
        assert await work.tenants.get() == acme()
    async with store.view(ACME) as view:
        assert await view.tenant() == acme()
    with pytest.raises(TenantExists):
        async with store.work(ACME) as work:
            await work.tenants.add(acme())
    async with store.work(OTHER) as work:
        assert await work.tenants.get() is None
    assert events_of(store.saved) == [TenantCreated(ACME, "acme", "Asia/Shanghai", "CNY")]


async def test_signing_keys_are_read_back_with_their_private_halves(store: Store) -> None:
    first, second = (MintedKey(f"kid-{number}", "x" * 43, "y" * 43, b"-----%d" % number) for number in (1, 2))
    async with store.work(INSTALLATION) as work:
        await ensure_signing_key(first, work)
    async with store.work(INSTALLATION) as work:
        await ensure_signing_key(second, work)
        await rotate_signing_key(second, work)

    async with store.work(INSTALLATION) as work:
        ring = await work.signing_keys.ring()
        private = [await work.signing_keys.private_key(key.kid) for key in ring.keys]
    assert [key.kid for key in ring.keys] == ["kid-2", "kid-1"]
    assert [key.expire_time is None for key in ring.keys] == [True, False]
    assert private == [b"-----2", b"-----1"]


async def test_of_many_replicas_that_start_at_once_one_makes_the_first_key(store: Store) -> None:
    async def start(number: int) -> str:
        async with store.work(INSTALLATION) as work:
            return (await ensure_signing_key(MintedKey(f"kid-{number}", "x", "y", b"private"), work)).kid

    assert len(set(await asyncio.gather(*(start(number) for number in range(6))))) == 1

"""Accounts and their grants."""

from datetime import date, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contexts.identity.domain.account import (
    MAX_GRANTS,
    NEXT,
    Account,
    AccountId,
    Grant,
    GrantId,
    Login,
    Role,
    Scope,
    Status,
    check_password,
    claims_on,
    is_lasting_owner,
    login,
    token_login,
)
from contexts.identity.domain.errors import (
    AccountIsDisabled,
    GrantMalformed,
    GrantNotFound,
    GrantOverlaps,
    LoginMalformed,
    PasswordTooWeak,
    TooManyGrants,
)
from contexts.identity.domain.events import AccountCreated, AccountDisabled, AccountGranted, AccountRevoked
from kernel.ids import EmployeeId
from kernel.period import FOREVER, Period
from tests.support.identity import START, TODAY, a_grant, an_account

ID = AccountId(UUID(int=1))


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("  Li.Wei@Example.COM ", "li.wei@example.com"),
        ("ＬＩ．ＷＥＩ", "li.wei"),
        ("Straße", "strasse"),
        ("李伟", "李伟"),
        ("e\u0301tienne", "\xe9tienne"),
    ],
)
def test_what_looks_the_same_is_the_same_login(typed: str, meant: str) -> None:
    assert login(typed) == meant


@pytest.mark.parametrize(
    "typed", ["", "a", " a ", "a b", "a\tb", "a\u200bb", "a\x00b", "token:owner", "x" * 121, "\ud800ab"]
)
def test_a_login_that_nobody_could_type_or_tell_apart_is_refused(typed: str) -> None:
    with pytest.raises(LoginMalformed):
        login(typed)


@given(st.text(max_size=130))
def test_a_login_stays_the_same_when_it_is_typed_as_stored(typed: str) -> None:
    try:
        meant = login(typed)
    except LoginMalformed:
        return

    assert login(meant) == meant


@pytest.mark.parametrize("password", ["short", "x" * 201, "aaaaaaaaaaaa", "abababababab", "Li.Wei@Example.com", ""])
def test_a_weak_password_is_refused(password: str) -> None:
    with pytest.raises(PasswordTooWeak):
        check_password(password, Login("li.wei@example.com"))


def test_nobody_can_type_the_login_of_an_operators_token() -> None:
    assert token_login(Role.OWNER, None) == "token:owner"
    with pytest.raises(LoginMalformed):
        login(token_login(Role.EMPLOYEE, EmployeeId(UUID(int=1))))


def test_a_life_of_an_account_is_told_by_its_events() -> None:
    account = Account.create(ID, Login("li"), START, employee_id=EmployeeId(UUID(int=5)))
    grant = Grant(GrantId(UUID(int=2)), Role.MANAGER, Scope(department="ENG"), Period(TODAY, FOREVER), "owner")
    account.grant(grant)
    account.revoke(grant.id)
    account.disable()

    assert account.state.status is Status.DISABLED
    assert account.pull_events() == (
        AccountCreated(ID, EmployeeId(UUID(int=5))),
        AccountGranted(ID, grant.id, "manager", "", "ENG", TODAY, None),
        AccountRevoked(ID, grant.id, "manager"),
        AccountDisabled(ID),
    )


def test_a_disabled_account_never_changes() -> None:
    account = an_account("li", Role.OWNER)
    account.disable()
    before = account.state

    for verb in (account.disable, lambda: account.grant(a_grant()), lambda: account.revoke(before.grants[0].id)):
        with pytest.raises(AccountIsDisabled):
            verb()
    assert account.state == before
    assert NEXT["disable"] == {Status.ACTIVE: Status.DISABLED}


def test_a_role_is_not_held_twice_in_one_scope_on_one_day() -> None:
    account = an_account("li")
    account.grant(a_grant(Role.MANAGER, end=date(2026, 12, 1)))

    account.grant(a_grant(Role.MANAGER, start=date(2026, 12, 1)))
    account.grant(a_grant(Role.MANAGER, scope=Scope(department="ENG")))
    with pytest.raises(GrantOverlaps):
        account.grant(a_grant(Role.MANAGER, start=date(2026, 11, 30), end=date(2026, 12, 2)))


def test_an_account_holds_so_many_grants() -> None:
    account = an_account("li")
    for number in range(MAX_GRANTS):
        account.grant(a_grant(scope=Scope(department=f"D{number}")))

    with pytest.raises(TooManyGrants):
        account.grant(a_grant(Role.OWNER))


def test_a_grant_that_is_not_held_cannot_be_taken_back() -> None:
    with pytest.raises(GrantNotFound):
        an_account("li", Role.OWNER).revoke(GrantId(UUID(int=10**9)))


def test_a_grant_is_limited_in_one_way_only() -> None:
    with pytest.raises(GrantMalformed):
        Scope(legal_entity="ACME-CN", department="ENG")


def test_a_token_carries_the_roles_of_the_day() -> None:
    account = an_account("li")
    account.grant(a_grant(Role.EMPLOYEE))
    account.grant(a_grant(Role.HR_ADMIN, scope=Scope(department="ENG")))
    account.grant(a_grant(Role.PAYROLL_ADMIN, scope=Scope(legal_entity="ACME-CN"), end=TODAY + timedelta(days=1)))
    account.grant(a_grant(Role.OWNER, start=TODAY + timedelta(days=1)))

    today, tomorrow = (claims_on(account.state, TODAY + timedelta(days=days)) for days in (0, 1))

    assert today == ("employee", "hr_admin@department:ENG", "payroll_admin@legal_entity:ACME-CN")
    assert tomorrow == ("employee", "hr_admin@department:ENG", "owner")
    assert claims_on(account.state, TODAY - timedelta(days=1)) == ()


@pytest.mark.parametrize(
    ("grant", "password_hash", "lasting"),
    [
        (a_grant(Role.OWNER), "hash", True),
        (a_grant(Role.OWNER), None, False),
        (a_grant(Role.OWNER, end=date(2030, 1, 1)), "hash", False),
        (a_grant(Role.OWNER, start=date(2030, 1, 1)), "hash", False),
        (a_grant(Role.OWNER, scope=Scope(department="ENG")), "hash", False),
        (a_grant(Role.HR_ADMIN), "hash", False),
    ],
)
def test_a_lasting_owner_can_sign_in_and_owns_everything_for_good(
    grant: Grant, password_hash: str | None, lasting: bool
) -> None:
    account = an_account("li", password_hash=password_hash)
    account.grant(grant)

    assert is_lasting_owner(account.state, TODAY) is lasting
    account.disable()
    assert not is_lasting_owner(account.state, TODAY)

"""The identity service over gRPC, on SQLite and MariaDB: tenants, accounts, sign-in, tokens, keys."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any
from uuid import UUID, uuid4

import jwt
import pytest
import sqlalchemy as sa
from google.type.date_pb2 import Date
from muster.event.v1 import event_feed_pb2, event_feed_pb2_grpc
from muster.identity.v1 import (
    account_pb2,
    account_pb2_grpc,
    signing_key_pb2,
    signing_key_pb2_grpc,
    tenant_pb2,
    tenant_pb2_grpc,
)

from application.access.tokens import PublishedKeys, TokenVerifier, tenant_of_refresh_token
from chassis import migrations
from chassis.assertion import ALL_TENANTS, Signer, prepare_keys
from chassis.database import Database, SystemScope
from chassis.keyring import FileKeyring
from chassis.lifecycle import Listener
from chassis.principal import Principal
from chassis.rpc.channels import Channels, Client
from chassis.rpc.error_map import RemoteError, http_of
from chassis.settings import Settings
from chassis.tables import audit, idempotency, outbox
from contexts.identity.main import SERVICE, serve
from contexts.identity.repository.tables import metadata
from kernel.ids import INSTALLATION, TenantId, tenant_id_of

ACME, OTHER = tenant_id_of("acme"), tenant_id_of("other")
PASSWORD = "correct horse battery"


@dataclass(frozen=True, slots=True)
class Identity:
    """A running service and its client."""

    client: Client
    settings: Settings
    accounts: Any
    tenants: Any
    keys: Any

    @classmethod
    def reached_by(cls, client: Client, settings: Settings) -> "Identity":
        return cls(
            client,
            settings,
            client.stub(account_pb2_grpc.AccountServiceStub),
            client.stub(tenant_pb2_grpc.TenantServiceStub),
            client.stub(signing_key_pb2_grpc.SigningKeyServiceStub),
        )

    async def __call__(
        self, method: Any, request: Any, principal: Principal | None = None, request_id: UUID | None = None
    ) -> Any:
        """A call by an owner of acme, unless somebody else is named."""
        if "request_id" in request.DESCRIPTOR.fields_by_name:
            request_id = request_id or (UUID(request.request_id) if request.request_id else uuid4())
            request.request_id = str(request_id)
        return await self.client.call(method, request, principal=principal or owner(), request_id=request_id)

    async def found(self, code: str = "acme", login: str = "owner@example.com") -> Any:
        request = tenant_pb2.CreateTenantRequest(
            code=code,
            name="Acme",
            home_zone="Asia/Shanghai",
            locale="zh-CN",
            currency="CNY",
            owner_login=login,
            owner_password=PASSWORD,
        )
        return await self(self.tenants.CreateTenant, request, operator(tenant_id_of(code)))

    async def an_account(self, login: str = "li", *roles: str, password: str = PASSWORD, employee: str = "") -> Any:
        request = account_pb2.CreateAccountRequest(login=login, password=password, employee_id=employee)
        account = (await self(self.accounts.CreateAccount, request)).account
        for role in roles:
            grant = account_pb2.GrantRoleRequest(account_id=account.account_id, role=role)
            account = (await self(self.accounts.GrantRole, grant)).account
        return account

    async def sign_in(self, login: str = "li", password: str = PASSWORD, tenant: str = "acme") -> Any:
        request = account_pb2.SignInRequest(tenant=tenant, login=login, password=password)
        return await self(self.accounts.SignIn, request, edge(tenant_id_of(tenant)))

    async def refresh(self, token: str, request_id: UUID | None = None) -> Any:
        request = account_pb2.RefreshSessionRequest(refresh_token=token)
        return await self(self.accounts.RefreshSession, request, edge(tenant_of_refresh_token(token)), request_id)

    async def token(self, role: str, employee: str = "", lifetime_s: int = 0) -> Any:
        request = account_pb2.IssueTokenRequest(role=role, employee_id=employee, lifetime_s=lifetime_s)
        return await self(self.accounts.IssueToken, request, operator(ACME))

    async def jwks(self) -> list[dict[str, str]]:
        answer = await self(self.keys.ListSigningKeys, signing_key_pb2.ListSigningKeysRequest(), edge(INSTALLATION))
        return [{"kty": "EC", "crv": "P-256", "kid": key.kid, "x": key.x, "y": key.y} for key in answer.keys]

    async def rows(self, table: sa.Table) -> Any:
        database = Database(self.settings.database_url(SERVICE.name), metadata)
        try:
            async with database.system(SystemScope("a test looks")) as tx:
                return await tx.rows(sa.select(table))
        finally:
            await database.close()


def owner() -> Principal:
    return Principal(ACME, str(UUID(int=1)), frozenset({"owner"}))


def operator(tenant_id: TenantId) -> Principal:
    return Principal(tenant_id, "process:operator", frozenset({"process:operator"}))


def edge(tenant_id: TenantId) -> Principal:
    return Principal(tenant_id, "process:edge", frozenset({"process:edge"}))


async def refused(work: Any) -> tuple[str, int]:
    with pytest.raises(RemoteError) as error:
        await work
    return error.value.reason, http_of(error.value.kind)


@pytest.fixture(params=["sqlite", "mariadb"])
async def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    made = Settings.embedded(tmp_path / "data", password_rounds=1, password_memory_kib=8)
    made.data_dir.mkdir()
    prepare_keys(made)
    if request.param == "mariadb":
        url = request.getfixturevalue("mariadb").create_database(f"identity_{uuid4().hex[:12]}")
        made = Settings.embedded(
            made.data_dir, password_rounds=1, password_memory_kib=8, database_urls={SERVICE.name: url}
        )
        FileKeyring.open_or_create(made.keyring)
        database = Database(url, metadata)
        await migrations.upgrade(database, SERVICE.name, SERVICE.versions)
        await database.close()
    return made


@pytest.fixture
async def identity(settings: Settings) -> AsyncIterator[Identity]:
    running = await serve(settings, Listener())
    channels = Channels(settings, Signer.open(settings), {SERVICE.name: running.address})
    yield Identity.reached_by(channels.to(SERVICE.name), settings)
    await channels.close()
    await running.stop(1.0)


async def test_the_migrated_schema_is_that_of_the_tables(settings: Settings) -> None:
    database = Database(settings.database_url(SERVICE.name), metadata)
    await migrations.upgrade(database, SERVICE.name, SERVICE.versions)

    assert await migrations.differences(database, SERVICE.name) == []
    await database.close()


async def test_a_tenant_is_created_once_with_its_owner(identity: Identity) -> None:
    made = await identity.found()

    read = await identity(identity.tenants.GetTenant, tenant_pb2.GetTenantRequest())
    assert (made.tenant.tenant_id, read.tenant) == (str(ACME), made.tenant)
    assert [grant.role for grant in made.owner.grants] == ["owner"]
    assert await refused(identity.found()) == ("TENANT_EXISTS", 409)
    types = [row["type"].rpartition(".")[2] for row in await identity.rows(outbox)]
    assert sorted(types) == ["AccountCreatedEvent", "AccountGrantedEvent", "TenantCreatedEvent"]


async def test_what_happened_stands_in_the_feed_without_a_gap(identity: Identity) -> None:
    await identity.found()
    account = await identity.an_account("li", "employee")
    disable = account_pb2.DisableAccountRequest(account_id=account.account_id)
    await identity(identity.accounts.DisableAccount, disable)
    feed = identity.client.stub(event_feed_pb2_grpc.EventFeedServiceStub)
    read = event_feed_pb2.ReadRequest(consumer="test.reader", worker_id="one", limit=100)

    async with asyncio.timeout(10):
        while True:
            answer = await identity(feed.Read, read, edge(ALL_TENANTS))
            if len(answer.entries) == 6:
                break
            await asyncio.sleep(0.02)

    assert [entry.position for entry in answer.entries] == [1, 2, 3, 4, 5, 6]
    assert [entry.type.rpartition(".")[2] for entry in answer.entries if entry.aggregate_id == account.account_id] == [
        "AccountCreatedEvent",
        "AccountGrantedEvent",
        "AccountDisabledEvent",
    ]


async def test_the_same_request_makes_one_account_and_gets_one_answer(identity: Identity) -> None:
    await identity.found()
    request = account_pb2.CreateAccountRequest(request_id=str(uuid4()), login="li", password=PASSWORD)

    answers = [await identity(identity.accounts.CreateAccount, request) for _ in range(3)]

    assert answers == [answers[0]] * 3
    assert await refused(identity.an_account("LI")) == ("LOGIN_TAKEN", 409)


async def test_a_tenant_that_was_never_created_has_no_accounts(identity: Identity) -> None:
    assert await refused(identity.an_account()) == ("TENANT_NOT_FOUND", 404)
    assert await refused(identity(identity.tenants.GetTenant, tenant_pb2.GetTenantRequest())) == (
        "TENANT_NOT_FOUND",
        404,
    )


async def test_only_the_operator_creates_tenants_issues_tokens_and_rotates_keys(identity: Identity) -> None:
    await identity.found()
    calls = [
        (identity.accounts.IssueToken, account_pb2.IssueTokenRequest(role="owner")),
        (identity.keys.RotateSigningKey, signing_key_pb2.RotateSigningKeyRequest()),
        (
            identity.tenants.CreateTenant,
            tenant_pb2.CreateTenantRequest(
                code="acme", name="A", home_zone="UTC", locale="en", currency="CNY", owner_login="owner"
            ),
        ),
    ]

    for caller in (owner(), edge(ACME), Principal(ACME, str(UUID(int=1)), frozenset({"process:operator"}))):
        for method, request in calls:
            assert await refused(identity(method, request, caller)) == ("PROCESS_ONLY", 403)


async def test_an_account_cannot_sign_in_for_somebody_else(identity: Identity) -> None:
    await identity.found()
    request = account_pb2.SignInRequest(tenant="acme", login="owner@example.com", password=PASSWORD)

    assert await refused(identity(identity.accounts.SignIn, request)) == ("PROCESS_ONLY", 403)
    assert await refused(identity(identity.accounts.SignIn, request, edge(OTHER))) == ("WRONG_TENANT", 403)


async def test_somebody_who_signs_in_is_known_to_the_application(identity: Identity) -> None:
    await identity.found()
    employee = str(uuid4())
    account = await identity.an_account("Li.Wei@Example.com", "employee", "manager", employee=employee)

    session = await identity.sign_in("li.wei@EXAMPLE.com ")

    verifier = TokenVerifier(PublishedKeys(identity.jwks), issuer="muster")
    principal = await verifier.principal(session.access_token)
    assert principal == Principal(ACME, account.account_id, frozenset({"employee", "manager"}), UUID(employee))  # type: ignore[arg-type]
    assert (session.expires_in_s, session.account_id) == (900, account.account_id)


async def test_an_independent_verifier_accepts_the_tokens(identity: Identity) -> None:
    await identity.found()

    session = await identity.sign_in("owner@example.com")

    (jwk,) = await identity.jwks()
    key = jwt.PyJWK.from_dict({**jwk, "alg": "ES256"})
    required = ["iss", "aud", "sub", "tenant", "roles", "iat", "nbf", "exp", "jti"]
    claims = jwt.decode(
        session.access_token,
        key,
        algorithms=["ES256"],
        audience="muster",
        issuer="muster",
        options={"require": required},
    )
    assert jwt.get_unverified_header(session.access_token) == {"alg": "ES256", "typ": "JWT", "kid": jwk["kid"]}
    assert (claims["tenant"], claims["roles"], claims["exp"] - claims["iat"]) == (str(ACME), ["owner"], 900)


@pytest.mark.parametrize(
    ("login", "password", "tenant"),
    [
        ("li", "wrong password", "acme"),
        ("nobody", PASSWORD, "acme"),
        ("a:b", PASSWORD, "acme"),
        ("no-password", PASSWORD, "acme"),
        ("disabled", PASSWORD, "acme"),
        ("li", PASSWORD, "never-created"),
    ],
)
async def test_every_failed_sign_in_looks_alike(identity: Identity, login: str, password: str, tenant: str) -> None:
    await identity.found()
    await identity.an_account("li")
    await identity.an_account("no-password", password="")
    disabled = await identity.an_account("disabled")
    await identity(identity.accounts.DisableAccount, account_pb2.DisableAccountRequest(account_id=disabled.account_id))

    with pytest.raises(RemoteError) as error:
        await identity.sign_in(login, password, tenant)

    assert (error.value.reason, error.value.message) == ("SIGN_IN_REFUSED", "login or password is wrong")
    assert (error.value.facts, error.value.fields) == ({}, ())


async def test_ten_tries_may_fail_and_then_the_right_password_waits_too(identity: Identity) -> None:
    await identity.found()
    await identity.an_account("li")
    for _ in range(10):
        assert await refused(identity.sign_in("li", "wrong password")) == ("SIGN_IN_REFUSED", 403)

    for login in ("li", "nobody"):
        tries = [await refused(identity.sign_in(login)) for _ in range(11)]
        assert tries[-1] == ("TOO_MANY_TRIES", 429)
    with pytest.raises(RemoteError) as error:
        await identity.sign_in("li")
    assert 0 < (error.value.retry_after_s or 0) <= 900
    assert await identity.sign_in("owner@example.com")


async def test_a_success_forgets_the_tries_that_failed(identity: Identity) -> None:
    await identity.found()
    await identity.an_account("li")

    for _ in range(3):
        for _ in range(9):
            await refused(identity.sign_in("li", "wrong password"))
        assert await identity.sign_in("li")


async def test_a_session_goes_on_by_refreshing_and_each_token_works_once(identity: Identity) -> None:
    await identity.found()
    await identity.an_account("li", "employee")
    first = await identity.sign_in("li")

    second = await identity.refresh(first.refresh_token)
    third = await identity.refresh(second.refresh_token)

    tokens = {first.refresh_token, second.refresh_token, third.refresh_token}
    assert (len(tokens), second.account_id, third.expires_in_s) == (3, first.account_id, 900)


async def test_a_refresh_token_that_is_used_again_ends_its_session(identity: Identity) -> None:
    await identity.found()
    await identity.an_account("li")
    first, elsewhere = await identity.sign_in("li"), await identity.sign_in("li")
    second = await identity.refresh(first.refresh_token)

    assert await refused(identity.refresh(first.refresh_token)) == ("SESSION_REFUSED", 403)
    assert await refused(identity.refresh(second.refresh_token)) == ("SESSION_REFUSED", 403)
    assert await identity.refresh(elsewhere.refresh_token)
    assert "refresh token used twice" in {row["reason"] for row in await identity.rows(audit)}


async def test_a_refresh_whose_answer_was_lost_is_answered_again(identity: Identity) -> None:
    await identity.found()
    await identity.an_account("li")
    first, request_id = await identity.sign_in("li"), uuid4()

    answer = await identity.refresh(first.refresh_token, request_id)
    again = await identity.refresh(first.refresh_token, request_id)

    assert again.refresh_token == answer.refresh_token
    assert await identity.refresh(again.refresh_token)
    assert await refused(identity.refresh(first.refresh_token, request_id)) == ("SESSION_REFUSED", 403)


async def test_of_many_refreshes_with_one_token_one_succeeds(identity: Identity) -> None:
    await identity.found()
    await identity.an_account("li")
    session = await identity.sign_in("li")

    answers = await asyncio.gather(*(identity.refresh(session.refresh_token) for _ in range(6)), return_exceptions=True)

    assert sum(not isinstance(answer, BaseException) for answer in answers) == 1


@pytest.mark.parametrize("change", ["secret", "session", "tenant", "form"])
async def test_a_forged_refresh_token_opens_nothing(identity: Identity, change: str) -> None:
    await identity.found()
    await identity.an_account("li")
    tenant, session, secret = (await identity.sign_in("li")).refresh_token.split(".")
    forged = {
        "secret": f"{tenant}.{session}.{'a' * 43}",
        "session": f"{tenant}.{uuid4().hex}.{secret}",
        "tenant": f"{OTHER.hex}.{session}.{secret}",
        "form": "x",
    }[change]

    request = account_pb2.RefreshSessionRequest(refresh_token=forged)
    caller = edge(OTHER if change == "tenant" else ACME)

    assert await refused(identity(identity.accounts.RefreshSession, request, caller)) == ("SESSION_REFUSED", 403)


async def test_a_disabled_account_is_out_at_once(identity: Identity) -> None:
    await identity.found()
    account = await identity.an_account("li")
    session = await identity.sign_in("li")

    disable = account_pb2.DisableAccountRequest(account_id=account.account_id, reason="left the company")
    answer = await identity(identity.accounts.DisableAccount, disable)

    assert answer.account.status == account_pb2.ACCOUNT_STATUS_DISABLED
    assert await refused(identity.refresh(session.refresh_token)) == ("SESSION_REFUSED", 403)
    again = account_pb2.DisableAccountRequest(account_id=account.account_id)
    assert await refused(identity(identity.accounts.DisableAccount, again)) == ("ACCOUNT_DISABLED", 409)
    assert "left the company" in {row["reason"] for row in await identity.rows(audit)}


async def test_the_last_owner_stays(identity: Identity) -> None:
    first = (await identity.found()).owner
    disable = account_pb2.DisableAccountRequest(account_id=first.account_id)
    revoke = account_pb2.RevokeRoleRequest(account_id=first.account_id, grant_id=first.grants[0].grant_id)
    await identity.token("owner")

    assert await refused(identity(identity.accounts.DisableAccount, disable)) == ("LAST_OWNER", 409)
    assert await refused(identity(identity.accounts.RevokeRole, revoke)) == ("LAST_OWNER", 409)

    await identity.an_account("second", "owner")
    revoke.request_id = ""
    answer = await identity(identity.accounts.RevokeRole, revoke)
    assert list(answer.account.grants) == []


async def test_of_two_owners_who_are_disabled_at_once_one_stays(identity: Identity) -> None:
    owners = [(await identity.found()).owner, await identity.an_account("second", "owner")]

    answers = await asyncio.gather(
        *(
            identity(identity.accounts.DisableAccount, account_pb2.DisableAccountRequest(account_id=one.account_id))
            for one in owners
        ),
        return_exceptions=True,
    )

    assert [answer.reason for answer in answers if isinstance(answer, RemoteError)] == ["LAST_OWNER"]


async def test_a_change_of_another_version_is_refused(identity: Identity) -> None:
    await identity.found()
    account = await identity.an_account("li", "employee")

    old = account_pb2.GrantRoleRequest(account_id=account.account_id, etag="1", role="manager")
    new = account_pb2.GrantRoleRequest(account_id=account.account_id, etag=account.etag, role="manager")

    assert await refused(identity(identity.accounts.GrantRole, old)) == ("STALE_VERSION", 409)
    assert (await identity(identity.accounts.GrantRole, new)).account.etag == "3"


@pytest.mark.parametrize(
    ("reason", "changes"),
    [
        ("GRANT_OVERLAPS", {"role": "employee"}),
        ("GRANT_MALFORMED", {"valid_from": Date(year=2026, month=2, day=30)}),
        (
            "GRANT_MALFORMED",
            {"valid_from": Date(year=2030, month=1, day=1), "valid_until": Date(year=2029, month=1, day=1)},
        ),
        ("GRANT_MALFORMED", {"legal_entity": "A", "department": "B"}),
        ("INVALID_REQUEST", {"role": "superuser"}),
        ("INVALID_REQUEST", {"department": "A B"}),
    ],
)
async def test_a_grant_that_makes_no_sense_is_refused(identity: Identity, reason: str, changes: dict[str, Any]) -> None:
    await identity.found()
    account = await identity.an_account("li", "employee")

    request = account_pb2.GrantRoleRequest(account_id=account.account_id, **{"role": "manager", **changes})

    assert (await refused(identity(identity.accounts.GrantRole, request)))[0] == reason


async def test_a_limited_grant_reads_like_no_unlimited_one_and_a_future_one_waits(identity: Identity) -> None:
    await identity.found()
    account = await identity.an_account("li")
    limited = account_pb2.GrantRoleRequest(account_id=account.account_id, role="hr_admin", department="ENG")
    future = account_pb2.GrantRoleRequest(
        account_id=account.account_id, role="owner", valid_from=Date(year=2190, month=1, day=1)
    )
    await identity(identity.accounts.GrantRole, limited)
    await identity(identity.accounts.GrantRole, future)

    token = (await identity.sign_in("li")).access_token

    assert jwt.decode(token, options={"verify_signature": False})["roles"] == ["hr_admin@department:ENG"]


async def test_the_operators_tokens_are_one_account_per_role_and_employee(identity: Identity) -> None:
    await identity.found()
    employee = str(uuid4())

    issued = await asyncio.gather(*(identity.token("payroll_admin") for _ in range(5)))
    approver, person = (
        await identity.token("payroll_approver", lifetime_s=3600),
        await identity.token("employee", employee),
    )

    assert len({one.account_id for one in issued}) == 1
    assert len({issued[0].account_id, approver.account_id, person.account_id}) == 3
    verifier = TokenVerifier(PublishedKeys(identity.jwks), issuer="muster")
    principal = await verifier.principal(person.access_token)
    assert (principal.roles, str(principal.employee_id)) == (frozenset({"employee"}), employee)
    assert approver.expires_in_s == 3600
    assert await verifier.principal(approver.access_token)


async def test_a_rotated_key_is_published_before_it_signs(identity: Identity) -> None:
    await identity.found()
    (first,) = await identity.jwks()
    rotate = signing_key_pb2.RotateSigningKeyRequest()

    answer = await identity(identity.keys.RotateSigningKey, rotate, operator(INSTALLATION))

    assert [key["kid"] for key in await identity.jwks()] == [answer.key.kid, first["kid"]]
    token = (await identity.sign_in("owner@example.com")).access_token
    assert jwt.get_unverified_header(token)["kid"] == first["kid"]
    again = signing_key_pb2.RotateSigningKeyRequest()
    assert await refused(identity(identity.keys.RotateSigningKey, again, operator(INSTALLATION))) == (
        "ROTATION_PENDING",
        409,
    )
    elsewhere = signing_key_pb2.RotateSigningKeyRequest()
    assert await refused(identity(identity.keys.RotateSigningKey, elsewhere, operator(ACME))) == ("WRONG_TENANT", 403)


async def test_a_restart_signs_with_the_same_key(settings: Settings) -> None:
    kids = []
    for _ in range(2):
        running = await serve(settings, Listener())
        channels = Channels(settings, Signer.open(settings), {SERVICE.name: running.address})
        stub = channels.to(SERVICE.name).stub(signing_key_pb2_grpc.SigningKeyServiceStub)
        listed = await channels.to(SERVICE.name).call(
            stub.ListSigningKeys, signing_key_pb2.ListSigningKeysRequest(), principal=edge(INSTALLATION)
        )
        kids.append([key.kid for key in listed.keys])
        await channels.close()
        await running.stop(1.0)

    assert kids[0] == kids[1]
    assert len(kids[0]) == 1


async def test_accounts_are_listed_page_by_page(identity: Identity) -> None:
    await identity.found()
    for number in range(4):
        await identity.an_account(f"login-{number}", password="")

    first = await identity(identity.accounts.ListAccounts, account_pb2.ListAccountsRequest(page_size=3))
    token = first.next_page_token
    second = await identity(
        identity.accounts.ListAccounts, account_pb2.ListAccountsRequest(page_size=3, page_token=token)
    )

    logins = [account.login for account in (*first.accounts, *second.accounts)]
    assert logins == ["owner@example.com", "login-0", "login-1", "login-2", "login-3"]
    assert second.next_page_token == ""
    for broken in ("x", base64.urlsafe_b64encode(json.dumps(["x"]).encode()).decode()):
        request = account_pb2.ListAccountsRequest(page_token=broken)
        assert await refused(identity(identity.accounts.ListAccounts, request)) == ("INVALID_VALUE", 422)


async def test_another_tenants_account_is_not_there(identity: Identity) -> None:
    await identity.found()
    await identity.found("other", "owner@other.example")
    account = await identity.an_account("li")
    stranger = Principal(OTHER, str(UUID(int=2)), frozenset({"owner"}))

    assert await identity(identity.accounts.GetAccount, account_pb2.GetAccountRequest(account_id=account.account_id))
    for method, request in (
        (identity.accounts.GetAccount, account_pb2.GetAccountRequest(account_id=account.account_id)),
        (identity.accounts.GrantRole, account_pb2.GrantRoleRequest(account_id=account.account_id, role="owner")),
        (
            identity.accounts.RevokeRole,
            account_pb2.RevokeRoleRequest(account_id=account.account_id, grant_id=str(uuid4())),
        ),
        (identity.accounts.DisableAccount, account_pb2.DisableAccountRequest(account_id=account.account_id)),
    ):
        assert await refused(identity(method, request, stranger)) == ("ACCOUNT_NOT_FOUND", 404)
    listed = await identity(identity.accounts.ListAccounts, account_pb2.ListAccountsRequest(), stranger)
    assert [one.login for one in listed.accounts] == ["owner@other.example"]


async def test_no_secret_stands_readable_in_the_database(identity: Identity) -> None:
    await identity.found()
    await identity.an_account("li.wei@example.com", "employee")
    session = await identity.sign_in("li.wei@example.com")
    refreshed = await identity.refresh(session.refresh_token)
    issued = await identity.token("owner")

    stored = [await identity.rows(table) for table in metadata.sorted_tables if table.name != idempotency.name]
    answers = b"".join(row["response"] for row in await identity.rows(idempotency))
    everything = repr(stored)

    secrets = [PASSWORD, session.access_token, refreshed.access_token, issued.access_token]
    secrets += [one.refresh_token.rpartition(".")[2] for one in (session, refreshed)]
    for secret in secrets:
        assert secret not in everything
        assert secret.encode() not in answers
    assert "li.wei@example.com" not in everything
    assert "PRIVATE KEY" not in everything


@pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
async def test_an_unknown_login_takes_as_long_as_a_wrong_password(settings: Settings, tmp_path: Path) -> None:
    slow = Settings.embedded(settings.data_dir, password_rounds=2, password_memory_kib=16 * 1024)
    running = await serve(slow, Listener())
    channels = Channels(slow, Signer.open(slow), {SERVICE.name: running.address})
    identity = Identity.reached_by(channels.to(SERVICE.name), slow)
    await identity.found()
    times: dict[str, list[float]] = {"known": [], "unknown": []}
    await identity.an_account("known")

    for _ in range(9):
        for login, spent in times.items():
            started = perf_counter()
            await refused(identity.sign_in(login, "wrong password"))
            spent.append(perf_counter() - started)

    await channels.close()
    await running.stop(1.0)
    known, unknown = (median(spent) for spent in times.values())
    assert known > 0.01
    assert 0.6 < unknown / known < 1.6

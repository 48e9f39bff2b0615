"""Identity's gRPC services: decode, run the handler, encode."""

import hashlib
import os
import secrets
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, cast
from uuid import UUID

from muster.identity.v1 import (
    account_pb2,
    account_pb2_grpc,
    signing_key_pb2,
    signing_key_pb2_grpc,
    tenant_pb2,
    tenant_pb2_grpc,
)

from chassis.crypto import FieldCipher
from chassis.principal import Call, current_call
from chassis.rpc.error_map import RemoteError, Trouble
from chassis.unit_of_work import Commands, Queries
from contexts.identity.adapters import codec
from contexts.identity.adapters.issuer import Issued, TokenIssuer, mint
from contexts.identity.adapters.passwords import Passwords
from contexts.identity.adapters.unrecorded import Unrecorded
from contexts.identity.domain.account import AccountId, Login, Role, check_password, login
from contexts.identity.domain.errors import (
    LoginMalformed,
    LoginTaken,
    ProcessOnly,
    SessionRefused,
    SignInRefused,
    TooManyTries,
    WrongTenant,
)
from contexts.identity.domain.signing_key import TOKEN_LIFE
from contexts.identity.handlers import accounts, sign_in, signing_keys, tenants
from contexts.identity.repository.port import AccountList
from kernel.clock import Clock
from kernel.ids import tenant_id_of, uuid7

PROCESS = "process:"
OPERATOR = "process:operator"
"""The command line of the installation. The subject of an access token is an account, so that no token says this."""


def operator_only() -> Call:
    """The call. Raises ProcessOnly where the installation's operator does not make it."""
    call = current_call()
    if call.principal.subject != OPERATOR:
        raise ProcessOnly("only the operator of the installation may do this; use the muster command")
    return call


def process_only() -> Call:
    """The call. Raises ProcessOnly where no process makes it on its own behalf."""
    call = current_call()
    if not call.principal.subject.startswith(PROCESS):
        raise ProcessOnly("only the application may do this, before it knows who signs in")
    return call


class AccountServicer(account_pb2_grpc.AccountServiceServicer):
    """Accounts, grants and how somebody comes in."""

    def __init__(
        self,
        commands: "Commands[Any]",
        queries: Queries[AccountList],
        unrecorded: "Unrecorded[Any]",
        passwords: Passwords,
        issuer: TokenIssuer,
        cipher: FieldCipher,
        clock: Clock,
    ) -> None:
        self._commands = commands
        self._queries = queries
        self._unrecorded = unrecorded
        self._passwords = passwords
        self._issuer = issuer
        self._cipher = cipher
        self._clock = clock

    async def CreateAccount(
        self, request: account_pb2.CreateAccountRequest, context: Any
    ) -> account_pb2.CreateAccountResponse:
        """See the proto."""
        name = login(request.login)
        cmd = accounts.CreateAccount(
            name,
            codec.employee_from(request.employee_id),
            await hashed(self._passwords, request.password, name, "password"),
        )
        answer = await self._commands.run(
            lambda work: accounts.create_account(cmd, work),
            lambda state: account_pb2.CreateAccountResponse(account=codec.account_to_proto(state)),
        )
        return cast(account_pb2.CreateAccountResponse, answer)

    async def GetAccount(self, request: account_pb2.GetAccountRequest, context: Any) -> account_pb2.GetAccountResponse:
        """See the proto."""
        account_id = AccountId(UUID(request.account_id))
        state = await self._queries.run(lambda view: accounts.get_account(account_id, view))
        return account_pb2.GetAccountResponse(account=codec.account_to_proto(state))

    async def ListAccounts(
        self, request: account_pb2.ListAccountsRequest, context: Any
    ) -> account_pb2.ListAccountsResponse:
        """See the proto."""
        query = codec.find_from(request)
        found = await self._queries.run(lambda view: accounts.find_accounts(query, view))
        return codec.page_to_proto(found, query.limit)

    async def GrantRole(self, request: account_pb2.GrantRoleRequest, context: Any) -> account_pb2.GrantRoleResponse:
        """See the proto."""
        cmd = codec.grant_from(request)
        answer = await self._commands.run(
            lambda work: accounts.grant_role(cmd, work),
            lambda state: account_pb2.GrantRoleResponse(account=codec.account_to_proto(state)),
        )
        return cast(account_pb2.GrantRoleResponse, answer)

    async def RevokeRole(self, request: account_pb2.RevokeRoleRequest, context: Any) -> account_pb2.RevokeRoleResponse:
        """See the proto."""
        cmd = codec.revoke_from(request)
        answer = await self._commands.run(
            lambda work: accounts.revoke_role(cmd, work),
            lambda state: account_pb2.RevokeRoleResponse(account=codec.account_to_proto(state)),
        )
        return cast(account_pb2.RevokeRoleResponse, answer)

    async def DisableAccount(
        self, request: account_pb2.DisableAccountRequest, context: Any
    ) -> account_pb2.DisableAccountResponse:
        """See the proto."""
        cmd = codec.disable_from(request)
        answer = await self._commands.run(
            lambda work: accounts.disable_account(cmd, work),
            lambda state: account_pb2.DisableAccountResponse(account=codec.account_to_proto(state)),
        )
        return cast(account_pb2.DisableAccountResponse, answer)

    async def SignIn(self, request: account_pb2.SignInRequest, context: Any) -> account_pb2.SignInResponse:
        """Count the try, check the password outside the transaction, then open the session."""
        call = process_only()
        if tenant_id_of(request.tenant) != call.tenant_id:
            raise WrongTenant("the call speaks for another tenant than the request names", field="tenant")
        name, challenge = await self._challenge(request.login)
        matches = await self._passwords.matches(request.password, challenge.password_hash)
        if not matches or challenge.account_id is None or challenge.password_hash is None:
            raise SignInRefused("login or password is wrong")
        secret = secrets.token_urlsafe(32)
        opening = sign_in.OpenSession(challenge.account_id, name, challenge.password_hash, hash_of(secret))
        admitted = await self._unrecorded.run(lambda work: sign_in.open_session(opening, work))
        issued, token = self._admit(call, admitted, secret)
        return account_pb2.SignInResponse(
            access_token=issued.token,
            refresh_token=token,
            expires_in_s=issued.expires_in_s,
            account_id=str(admitted.account.id),
        )

    async def RefreshSession(
        self, request: account_pb2.RefreshSessionRequest, context: Any
    ) -> account_pb2.RefreshSessionResponse:
        """The next secret follows from the presented one, so that the same request gets the same answer again."""
        call = process_only()
        parts = codec.refresh_token_from(request.refresh_token)
        if parts is None or parts[0] != call.tenant_id:
            raise SessionRefused("this session is over; sign in again")
        _, session_id, presented = parts
        following = codec.secret_text(
            self._cipher.blind_index(call.tenant_id, "session.secret", f"{session_id}|{presented}")
        )
        refresh = sign_in.RefreshSession(session_id, hash_of(presented), hash_of(following), call.request_id)
        admitted = await self._unrecorded.run(lambda work: sign_in.refresh_session(refresh, work))
        if admitted is None:
            raise SessionRefused("this session is over; sign in again")
        issued, token = self._admit(call, admitted, following)
        return account_pb2.RefreshSessionResponse(
            access_token=issued.token,
            refresh_token=token,
            expires_in_s=issued.expires_in_s,
            account_id=str(admitted.account.id),
        )

    async def IssueToken(self, request: account_pb2.IssueTokenRequest, context: Any) -> account_pb2.IssueTokenResponse:
        """Two first calls for one role may race; the one that lost finds the account of the other."""
        call = operator_only()
        cmd = sign_in.IssueToken(Role(request.role), codec.employee_from(request.employee_id))
        life = timedelta(seconds=request.lifetime_s) if request.lifetime_s else TOKEN_LIFE
        try:
            admitted = await self._unrecorded.run(lambda work: sign_in.issue_token(cmd, work))
        except LoginTaken:
            admitted = await self._unrecorded.run(lambda work: sign_in.issue_token(cmd, work))
        issued = self._issue(call, admitted, life)
        return account_pb2.IssueTokenResponse(
            access_token=issued.token, expires_in_s=issued.expires_in_s, account_id=str(admitted.account.id)
        )

    async def _challenge(self, text: str) -> tuple[Login, sign_in.Challenge]:
        try:
            name = login(text)
        except LoginMalformed:
            return Login(""), sign_in.NOBODY  # nobody can have it; say so no faster than for a wrong password
        try:
            return name, await self._unrecorded.run(lambda work: sign_in.count_try(name, work))
        except TooManyTries as refused:
            wait = int(str(refused.facts["retry_after_s"]))
            raise RemoteError(
                Trouble.OVERLOADED, refused.reason, refused.message, facts={}, retry_after_s=wait
            ) from refused

    def _admit(self, call: Call, admitted: sign_in.Admitted, secret: str) -> tuple[Issued, str]:
        assert admitted.session is not None
        token = codec.refresh_token(call.tenant_id, admitted.session.id, secret)
        return self._issue(call, admitted, TOKEN_LIFE), token

    def _issue(self, call: Call, admitted: sign_in.Admitted, life: timedelta) -> Issued:
        now = self._clock.now()
        return self._issuer.issue(
            call.tenant_id,
            admitted.account.id,
            admitted.roles,
            admitted.account.employee_id,
            token_id=uuid7(now, os.urandom(10)),
            at=now,
            life=life,
        )


class TenantServicer(tenant_pb2_grpc.TenantServiceServicer):
    """The tenant of the call."""

    def __init__(self, commands: "Commands[Any]", queries: Queries[AccountList], passwords: Passwords) -> None:
        self._commands = commands
        self._queries = queries
        self._passwords = passwords

    async def CreateTenant(
        self, request: tenant_pb2.CreateTenantRequest, context: Any
    ) -> tenant_pb2.CreateTenantResponse:
        """See the proto."""
        operator_only()
        owner = login(request.owner_login, "owner_login")
        cmd = tenants.CreateTenant(
            request.code,
            request.name,
            request.home_zone,
            request.locale,
            request.currency,
            owner,
            await hashed(self._passwords, request.owner_password, owner, "owner_password"),
        )
        answer = await self._commands.run(lambda work: tenants.create_tenant(cmd, work), codec.founded_to_proto)
        return cast(tenant_pb2.CreateTenantResponse, answer)

    async def GetTenant(self, request: tenant_pb2.GetTenantRequest, context: Any) -> tenant_pb2.GetTenantResponse:
        """See the proto."""
        tenant = await self._queries.run(tenants.get_tenant)
        return tenant_pb2.GetTenantResponse(tenant=codec.tenant_to_proto(tenant))


class SigningKeyServicer(signing_key_pb2_grpc.SigningKeyServiceServicer):
    """The installation's signing keys."""

    def __init__(
        self,
        commands: "Commands[Any]",
        issuer: TokenIssuer,
        reread: Callable[[], Awaitable[None]],
        clock: Clock,
    ) -> None:
        self._commands = commands
        self._issuer = issuer
        self._reread = reread
        self._clock = clock

    async def ListSigningKeys(
        self, request: signing_key_pb2.ListSigningKeysRequest, context: Any
    ) -> signing_key_pb2.ListSigningKeysResponse:
        """From memory: verifiers go on while the database is down."""
        published = self._issuer.published(self._clock.now())
        return signing_key_pb2.ListSigningKeysResponse(
            keys=[codec.key_to_proto(key) for key in published], issuer=self._issuer.name
        )

    async def RotateSigningKey(
        self, request: signing_key_pb2.RotateSigningKeyRequest, context: Any
    ) -> signing_key_pb2.RotateSigningKeyResponse:
        """See the proto."""
        operator_only()
        minted = mint()
        answer = await self._commands.run(
            lambda work: signing_keys.rotate_signing_key(minted, work),
            lambda key: signing_key_pb2.RotateSigningKeyResponse(key=codec.key_to_proto(key)),
        )
        await self._reread()
        return cast(signing_key_pb2.RotateSigningKeyResponse, answer)


async def hashed(passwords: Passwords, password: str, owner: Login, field: str) -> str | None:
    """The hash of a password that was given, None for "". Raises PasswordTooWeak."""
    if not password:
        return None
    check_password(password, owner, field)
    return await passwords.hash(password)


def hash_of(secret: str) -> bytes:
    """What is stored of a refresh secret: it has 256 random bits, so that a fast hash is enough."""
    return hashlib.sha256(secret.encode()).digest()

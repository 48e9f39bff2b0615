"""What identity can be asked: to sign in, and about accounts and grants."""

from collections.abc import Sequence
from uuid import UUID, uuid4

from muster.identity.v1 import account_pb2 as wire
from muster.identity.v1 import account_pb2_grpc, signing_key_pb2, signing_key_pb2_grpc

from application.access import Resource
from application.access.tokens import Jwk, tenant_of_refresh_token
from application.edge.authorize import allow
from application.edge.calls import Calls
from application.edge.exchange import current_exchange
from application.edge.pages import Page
from application.edge.refusal import Overloaded, SignInRefused
from application.edge.wire import blank, from_date, from_enum, from_instant, optional_id, to_date
from application.identity import schemas
from application.people.relations import Relations
from chassis.principal import Principal
from chassis.rpc.channels import Client
from chassis.rpc.error_map import RemoteError
from kernel.errors import Kind
from kernel.ids import INSTALLATION, TenantId, tenant_id_of

ROLE = "process:edge"


def edge_of(tenant_id: TenantId) -> Principal:
    """The edge itself, before it knows who calls."""
    return Principal(tenant_id, ROLE, frozenset({ROLE}))


class Identity:
    """The use cases of identity.

    Invariants: a refused sign-in is one answer, whatever was wrong; passwords and tokens are never logged.
    """

    def __init__(self, identity: Client, relations: Relations) -> None:
        self._calls = Calls(identity)
        self._accounts = identity.stub(account_pb2_grpc.AccountServiceStub)
        self._keys = identity.stub(signing_key_pb2_grpc.SigningKeyServiceStub)
        self._relations = relations

    async def sign_in(self, body: schemas.TokenBody) -> schemas.TokenView:
        """Exchange login and password for an access token."""
        request = wire.SignInRequest(tenant=body.tenant, login=body.login, password=body.password)
        try:
            answer = await self._calls.read_as(edge_of(tenant_id_of(body.tenant)), self._accounts.SignIn, request)
        except RemoteError as error:
            raise _refused(error) from None
        return _token_view(answer)

    async def refresh(self, body: schemas.RefreshBody) -> schemas.TokenView:
        """Exchange a refresh token for the next one and an access token."""
        edge = edge_of(tenant_of_refresh_token(body.refresh_token))
        request = wire.RefreshSessionRequest(refresh_token=body.refresh_token)
        try:
            # An id of its own: a call that the channel repeats must not look like a second use of the token.
            answer = await self._calls.write_as(edge, self._accounts.RefreshSession, request, uuid4())
        except RemoteError as error:
            raise _refused(error) from None
        return _token_view(answer)

    async def keys(self) -> Sequence[Jwk]:
        """The issuer's public keys."""
        edge = edge_of(INSTALLATION)
        answer = await self._calls.read_as(edge, self._keys.ListSigningKeys, signing_key_pb2.ListSigningKeysRequest())
        return [{"kty": "EC", "crv": "P-256", "kid": key.kid, "x": key.x, "y": key.y} for key in answer.keys]

    async def jwks(self) -> schemas.JwksView:
        """The issuer's public keys as a key set."""
        return schemas.JwksView.model_construct(
            keys=[schemas.JwkView.model_construct(kid=key["kid"], x=key["x"], y=key["y"]) for key in await self.keys()]
        )

    async def create_account(self, body: schemas.AccountBody) -> schemas.AccountView:
        """Create an account without grants."""
        allow("account.create")
        if body.employee_id is not None:
            await self._relations.exist([body.employee_id])
        request = wire.CreateAccountRequest(
            login=body.login, employee_id=str(body.employee_id or ""), password=body.password or ""
        )
        answer = await self._calls.write(self._accounts.CreateAccount, request)
        current_exchange().located_at(f"/v1/accounts/{answer.account.account_id}")
        return _shown(answer.account)

    async def get_account(self, account_id: UUID) -> schemas.AccountView:
        """One account with its grants."""
        allow("account.read")
        return _shown(await self._account(account_id))

    async def list_accounts(self, query: schemas.AccountsQuery) -> Page[schemas.AccountView]:
        """A page of the accounts."""
        allow("account.read")
        answer = await self._calls.read(
            self._accounts.ListAccounts,
            wire.ListAccountsRequest(
                page_size=query.limit,
                page_token=query.cursor,
                login=query.login or "",
                employee_id=str(query.employee_id or ""),
            ),
        )
        if query.employee_id is not None and not answer.accounts:
            await self._relations.exist([query.employee_id])
        return Page[schemas.AccountView].model_construct(
            data=[account_view(one) for one in answer.accounts], next_cursor=answer.next_page_token or None
        )

    async def grant(self, account_id: UUID, body: schemas.GrantBody) -> schemas.AccountView:
        """Give an account a role."""
        allow("account.grant", Resource(roles=frozenset({body.role})))
        request = wire.GrantRoleRequest(
            account_id=str(account_id),
            role=body.role,
            legal_entity=body.legal_entity or "",
            department=body.department or "",
            valid_from=to_date(body.valid_from),
            valid_until=to_date(body.valid_until),
        )
        return _shown((await self._calls.write(self._accounts.GrantRole, request)).account)

    async def revoke(self, account_id: UUID, grant_id: UUID) -> schemas.AccountView:
        """Take one grant back."""
        account = await self._account(account_id)
        role = next((grant.role for grant in account.grants if grant.grant_id == str(grant_id)), None)
        allow("account.revoke", Resource(roles=frozenset() if role is None else frozenset({role})))
        request = wire.RevokeRoleRequest(account_id=str(account_id), grant_id=str(grant_id))
        return _shown((await self._calls.write(self._accounts.RevokeRole, request)).account)

    async def disable(self, account_id: UUID, body: schemas.DisableBody) -> schemas.AccountView:
        """End all sessions of an account and let it sign in no more."""
        account = await self._account(account_id)
        allow("account.disable", Resource(roles=frozenset(grant.role for grant in account.grants)))
        request = wire.DisableAccountRequest(account_id=str(account_id), reason=body.reason)
        return _shown((await self._calls.write(self._accounts.DisableAccount, request)).account)

    async def _account(self, account_id: UUID) -> wire.Account:
        answer = await self._calls.read(self._accounts.GetAccount, wire.GetAccountRequest(account_id=str(account_id)))
        return answer.account


def _refused(error: RemoteError) -> Exception:
    if error.kind is Kind.RULE:
        return Overloaded(error.message, headers={"Retry-After": "1"})
    if error.kind in (Kind.FORBIDDEN, Kind.NOT_FOUND):
        return SignInRefused.because(error.reason, error.message)
    return error


def _token_view(answer: wire.SignInResponse | wire.RefreshSessionResponse) -> schemas.TokenView:
    current_exchange().headers.append((b"cache-control", b"no-store"))
    return schemas.TokenView.model_construct(
        access_token=answer.access_token,
        token_type="Bearer",
        expires_in=answer.expires_in_s,
        refresh_token=answer.refresh_token,
        account_id=UUID(answer.account_id),
    )


def _shown(account: wire.Account) -> schemas.AccountView:
    current_exchange().has_version(account.etag)
    return account_view(account)


def account_view(account: wire.Account) -> schemas.AccountView:
    """An account as answers show it."""
    return schemas.AccountView.model_construct(
        id=UUID(account.account_id),
        login=account.login,
        status=from_enum(wire.AccountStatus, "ACCOUNT_STATUS_", account.status),
        employee_id=optional_id(account.employee_id),
        has_password=account.has_password,
        grants=[
            schemas.GrantView.model_construct(
                id=UUID(grant.grant_id),
                role=grant.role,
                legal_entity=blank(grant.legal_entity),
                department=blank(grant.department),
                valid_from=from_date(grant.valid_from),
                valid_until=from_date(grant.valid_until),
                granted_by=grant.granted_by,
            )
            for grant in account.grants
        ],
        version=int(account.etag or 0),
        created_at=from_instant(account.create_time),
    )

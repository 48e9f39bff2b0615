"""REST operations of signing in, accounts and grants."""

from typing import Annotated

from fastapi import Depends, Path, Query, Request

from application.edge.fields import Id
from application.edge.operation import Criticality, IfMatch, RateClass
from application.edge.pages import Page
from application.edge.routes import Routes
from application.identity import schemas
from application.identity.use_cases import Identity

TOKEN_BYTES = 4096

routes = Routes("identity")


async def identity_of(request: Request) -> Identity:
    """The use cases of this application."""
    found: Identity = request.app.state.identity
    return found


Uses = Annotated[Identity, Depends(identity_of)]
AccountId = Annotated[Id, Path(description="The account.")]
GrantId = Annotated[Id, Path(description="The grant.")]


@routes.post(
    "/v1/token",
    None,
    tag="identity",
    criticality=Criticality.CRITICAL,
    body_bytes=TOKEN_BYTES,
    keyed=False,
    rate=RateClass.SIGN_IN,
)
async def sign_in(body: schemas.TokenBody, identity: Uses) -> schemas.TokenView:
    """Exchange login and password for an access token and a refresh token."""
    return await identity.sign_in(body)


@routes.post(
    "/v1/token/refresh",
    None,
    tag="identity",
    criticality=Criticality.CRITICAL,
    body_bytes=TOKEN_BYTES,
    keyed=False,
    rate=RateClass.SIGN_IN,
)
async def refresh_token(body: schemas.RefreshBody, identity: Uses) -> schemas.TokenView:
    """Exchange a refresh token for the next one and an access token; one that was used before ends its session."""
    return await identity.refresh(body)


@routes.get("/.well-known/jwks.json", None, tag="identity")
async def get_jwks(identity: Uses) -> schemas.JwksView:
    """The public keys that verify access tokens."""
    return await identity.jwks()


@routes.post("/v1/accounts", "account.create", tag="identity", status=201)
async def create_account(body: schemas.AccountBody, identity: Uses) -> schemas.AccountView:
    """Create an account; it may do nothing until it is granted a role."""
    return await identity.create_account(body)


@routes.get("/v1/accounts", "account.read", tag="identity", criticality=Criticality.DEFERRABLE)
async def list_accounts(query: Annotated[schemas.AccountsQuery, Query()], identity: Uses) -> Page[schemas.AccountView]:
    """A page of the accounts, in the order of their creation."""
    return await identity.list_accounts(query)


@routes.get("/v1/accounts/{account_id}", "account.read", tag="identity")
async def get_account(account_id: AccountId, identity: Uses) -> schemas.AccountView:
    """One account with its grants."""
    return await identity.get_account(account_id)


@routes.post("/v1/accounts/{account_id}/grants", "account.grant", tag="identity", status=201, if_match=IfMatch.OPTIONAL)
async def grant_role(account_id: AccountId, body: schemas.GrantBody, identity: Uses) -> schemas.AccountView:
    """Give an account a role from a day on, for the whole tenant or a part of it."""
    return await identity.grant(account_id, body)


@routes.delete(
    "/v1/accounts/{account_id}/grants/{grant_id}", "account.revoke", tag="identity", if_match=IfMatch.OPTIONAL
)
async def revoke_role(account_id: AccountId, grant_id: GrantId, identity: Uses) -> schemas.AccountView:
    """Take one grant back at once; the last owner of a tenant cannot be revoked."""
    return await identity.revoke(account_id, grant_id)


@routes.post("/v1/accounts/{account_id}/disable", "account.disable", tag="identity", if_match=IfMatch.OPTIONAL)
async def disable_account(
    account_id: AccountId, identity: Uses, body: schemas.DisableBody | None = None
) -> schemas.AccountView:
    """Let an account sign in no more, and end its sessions."""
    return await identity.disable(account_id, body or schemas.DisableBody())

"""What clients send and receive about signing in, accounts and grants."""

from typing import Annotated, Literal

from pydantic import Field

from application.access.claims import LONGEST_TOKEN
from application.edge.fields import Body, CivilDate, Code, Id, Instant, View
from application.edge.pages import PageQuery

Role = Literal["owner", "hr_admin", "payroll_admin", "payroll_approver", "manager", "employee", "device", "auditor"]
PERSONAL = {"x-pii": "personal"}
SECRET = {"x-pii": "secret", "writeOnly": True}

Login = Annotated[
    str,
    Field(
        description="What is typed to sign in: an email address or a name; case does not matter.",
        min_length=3,
        max_length=120,
        examples=["mei.chen@example.com"],
        json_schema_extra=PERSONAL,
    ),
]


class TokenBody(Body):
    """Somebody signs in with login and password."""

    tenant: Annotated[
        str,
        Field(
            description="Short name of the company.",
            max_length=80,
            pattern="^[a-z0-9](-?[a-z0-9]){1,39}$",
            examples=["acme"],
        ),
    ]
    login: Annotated[str, Field(description="Login.", min_length=1, max_length=120, examples=["mei.chen@example.com"])]
    password: Annotated[
        str,
        Field(
            description="Password.",
            min_length=1,
            max_length=200,
            examples=["correct horse battery staple"],
            json_schema_extra=SECRET,
        ),
    ]


class RefreshBody(Body):
    """A session goes on."""

    refresh_token: Annotated[
        str,
        Field(
            description="The refresh token of the answer before; it can be used once.",
            min_length=1,
            max_length=200,
            pattern="^[A-Za-z0-9._-]+$",
            examples=["f3c0.9a.secret"],
            json_schema_extra=SECRET,
        ),
    ]


class TokenView(View):
    """An access token and the token to get the next one."""

    access_token: Annotated[
        str, Field(description="For `Authorization: Bearer`.", max_length=LONGEST_TOKEN, examples=["eyJhbGciOi..."])
    ]
    token_type: Annotated[Literal["Bearer"], Field(description="How it is sent.")] = "Bearer"
    expires_in: Annotated[int, Field(description="Seconds until it expires.", ge=0, examples=[900])]
    refresh_token: Annotated[
        str, Field(description="For POST /v1/token/refresh, once.", max_length=200, examples=["f3c0.9a.secret"])
    ]
    account_id: Annotated[Id, Field(description="The account; `sub` of the token.")]


class AccountBody(Body):
    """A new account."""

    login: Login
    employee_id: Annotated[Id | None, Field(description="The employee that it is, null for none.")] = None
    password: Annotated[
        str | None,
        Field(
            description="First password, null for none: then it cannot sign in with one.",
            min_length=10,
            max_length=200,
            examples=["correct horse battery staple"],
            json_schema_extra=SECRET,
        ),
    ] = None


class GrantBody(Body):
    """A role for an account, for the whole tenant or a part of it."""

    role: Annotated[Role, Field(description="The role.")]
    legal_entity: Annotated[
        Code | None, Field(description="Limits it to this legal entity; not together with department.")
    ] = None
    department: Annotated[Code | None, Field(description="Limits it to this department and those below it.")] = None
    valid_from: Annotated[CivilDate | None, Field(description="First day; today.")] = None
    valid_until: Annotated[CivilDate | None, Field(description="First day on which it no longer holds.")] = None


class DisableBody(Body):
    """An account may not sign in any more."""

    reason: Annotated[
        str, Field(description="Why, for the audit trail.", max_length=200, examples=["Left the company"])
    ] = ""


class GrantView(View):
    """A role that an account holds for a time."""

    id: Annotated[Id, Field(description="The grant.")]
    role: Annotated[str, Field(description="The role.", max_length=20, examples=["hr_admin"])]
    legal_entity: Annotated[
        str | None, Field(description="The legal entity it is limited to.", max_length=40, examples=["ACME-CN"])
    ]
    department: Annotated[
        str | None, Field(description="The department it is limited to.", max_length=40, examples=["ENG"])
    ]
    valid_from: Annotated[CivilDate | None, Field(description="First day.")]
    valid_until: Annotated[CivilDate | None, Field(description="First day on which it no longer holds.")]
    granted_by: Annotated[str, Field(description="Who gave it.", max_length=80, examples=["process:operator"])]


class AccountView(View):
    """Who may sign in, as whom, with which grants."""

    id: Annotated[Id, Field(description="The account.")]
    login: Annotated[
        str,
        Field(
            description="What is typed to sign in.",
            max_length=120,
            examples=["mei.chen@example.com"],
            json_schema_extra=PERSONAL,
        ),
    ]
    status: Annotated[Literal["ACTIVE", "DISABLED"] | None, Field(description="Whether it may sign in.")]
    employee_id: Annotated[Id | None, Field(description="The employee that it is.")]
    has_password: Annotated[bool, Field(description="Whether it can sign in with a password.")]
    grants: Annotated[list[GrantView], Field(description="Grants that were not revoked.", max_length=50)]
    version: Annotated[int, Field(description="Version; the ETag in quotes.", ge=0)]
    created_at: Annotated[Instant | None, Field(description="When it was created.")]


class AccountsQuery(PageQuery):
    """Which accounts."""

    login: Annotated[
        str | None, Field(description="Only this login.", max_length=120, examples=["mei.chen@example.com"])
    ] = None
    employee_id: Annotated[Id | None, Field(description="Only accounts of this employee.")] = None


class TenantView(View):
    """A company that uses this installation."""

    id: Annotated[Id, Field(description="The tenant.")]
    code: Annotated[str, Field(description="Short name.", max_length=40, examples=["acme"])]
    name: Annotated[str, Field(description="Name.", max_length=200, examples=["Acme Ltd"])]
    home_zone: Annotated[
        str, Field(description="IANA zone in which its days begin.", max_length=64, examples=["Asia/Shanghai"])
    ]
    locale: Annotated[str, Field(description="Language tag.", max_length=35, examples=["zh-CN"])]
    currency: Annotated[str, Field(description="ISO 4217 code.", max_length=3, examples=["CNY"])]


class JwkView(View):
    """A public key (RFC 7517)."""

    kty: Annotated[Literal["EC"], Field(description="Key type.")] = "EC"
    crv: Annotated[Literal["P-256"], Field(description="Curve.")] = "P-256"
    alg: Annotated[Literal["ES256"], Field(description="Algorithm.")] = "ES256"
    use: Annotated[Literal["sig"], Field(description="Use.")] = "sig"
    kid: Annotated[str, Field(description="Name of the key.", max_length=64, examples=["k1"])]
    x: Annotated[str, Field(description="X coordinate, base64url.", max_length=43, examples=["f83OJ3D2xF1Bg8vub9tL"])]
    y: Annotated[str, Field(description="Y coordinate, base64url.", max_length=43, examples=["x_FEzRu9m36HLN_tue65"])]


class JwksView(View):
    """The public keys that verify access tokens."""

    keys: Annotated[list[JwkView], Field(description="The keys, newest first.", max_length=100)]

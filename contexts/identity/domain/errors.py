"""What identity refuses, and what to do about it."""

from kernel.errors import DomainError, Kind


class AccountNotFound(DomainError):
    """No such account in this tenant."""

    kind, reason = Kind.NOT_FOUND, "ACCOUNT_NOT_FOUND"


class AccountIsDisabled(DomainError):
    """The account was disabled; nothing can be changed about it."""

    kind, reason = Kind.RULE, "ACCOUNT_DISABLED"


class LoginTaken(DomainError):
    """Another account of the tenant has this login."""

    kind, reason = Kind.CONFLICT, "LOGIN_TAKEN"


class LoginMalformed(DomainError):
    """A login that nobody could type or tell apart."""

    kind, reason = Kind.INVALID, "LOGIN_MALFORMED"


class PasswordTooWeak(DomainError):
    """A password that is too short, too long, or the login itself."""

    kind, reason = Kind.INVALID, "PASSWORD_TOO_WEAK"


class GrantNotFound(DomainError):
    """The account holds no such grant."""

    kind, reason = Kind.NOT_FOUND, "GRANT_NOT_FOUND"


class GrantOverlaps(DomainError):
    """The account holds this role in this scope already on some of these days."""

    kind, reason = Kind.CONFLICT, "GRANT_OVERLAPS"


class GrantMalformed(DomainError):
    """A grant whose role, scope or days make no sense."""

    kind, reason = Kind.INVALID, "GRANT_MALFORMED"


class TooManyGrants(DomainError):
    """The account holds as many grants as an account may."""

    kind, reason = Kind.RULE, "TOO_MANY_GRANTS"


class LastOwner(DomainError):
    """Without this owner nobody could grant anything in the tenant."""

    kind, reason = Kind.RULE, "LAST_OWNER"


class SignInRefused(DomainError):
    """Login and password do not open this tenant; which of them is wrong is not told."""

    kind, reason = Kind.FORBIDDEN, "SIGN_IN_REFUSED"


class TooManyTries(DomainError):
    """Too many sign-ins failed for this login; `retry_after_s` says how long to wait."""

    kind, reason = Kind.RULE, "TOO_MANY_TRIES"


class SignInBusy(DomainError):
    """More people sign in at this moment than passwords can be checked; try again."""

    kind, reason = Kind.RULE, "SIGN_IN_BUSY"


class SessionRefused(DomainError):
    """The refresh token opens no session (any more); sign in again."""

    kind, reason = Kind.FORBIDDEN, "SESSION_REFUSED"


class TenantExists(DomainError):
    """The code is in use."""

    kind, reason = Kind.CONFLICT, "TENANT_EXISTS"


class TenantNotFound(DomainError):
    """The tenant of the call was never created."""

    kind, reason = Kind.NOT_FOUND, "TENANT_NOT_FOUND"


class TenantMalformed(DomainError):
    """A tenant's code, zone, locale or currency that does not exist."""

    kind, reason = Kind.INVALID, "TENANT_MALFORMED"


class WrongTenant(DomainError):
    """The call speaks for another tenant than the one that the request names."""

    kind, reason = Kind.FORBIDDEN, "WRONG_TENANT"


class ProcessOnly(DomainError):
    """Only a process of the installation may do this, whatever roles an account holds."""

    kind, reason = Kind.FORBIDDEN, "PROCESS_ONLY"


class RotationPending(DomainError):
    """The last rotation has not taken effect; `retry_after_s` says how long to wait."""

    kind, reason = Kind.RULE, "ROTATION_PENDING"


class TooManySigningKeys(DomainError):
    """So many keys still verify live tokens that no other is added."""

    kind, reason = Kind.RULE, "TOO_MANY_SIGNING_KEYS"


class NoSigningKey(DomainError):
    """The installation has no key that signs; its identity service has not started properly."""

    kind, reason = Kind.RULE, "NO_SIGNING_KEY"

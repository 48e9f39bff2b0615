"""What delivery refuses, and what to do about it."""

from kernel.errors import DomainError, Kind


class WebhookEndpointNotFound(DomainError):
    """No such endpoint in this tenant."""

    kind, reason = Kind.NOT_FOUND, "WEBHOOK_ENDPOINT_NOT_FOUND"


class WebhookDeliveryNotFound(DomainError):
    """The endpoint has no such delivery (any more)."""

    kind, reason = Kind.NOT_FOUND, "WEBHOOK_DELIVERY_NOT_FOUND"


class WebhookUrlRefused(DomainError):
    """An address that is never dialled: no https, no public name, userinfo, an odd port or notation."""

    kind, reason = Kind.INVALID, "WEBHOOK_URL_REFUSED"


class EventTypeMalformed(DomainError):
    """A type that names no event, or one that is named twice."""

    kind, reason = Kind.INVALID, "EVENT_TYPE_MALFORMED"


class TooManyWebhookEndpoints(DomainError):
    """The tenant has as many endpoints as a tenant may."""

    kind, reason = Kind.RULE, "TOO_MANY_WEBHOOK_ENDPOINTS"


class TooManyWebhookSecrets(DomainError):
    """So many secrets sign for this endpoint that no other is added."""

    kind, reason = Kind.RULE, "TOO_MANY_WEBHOOK_SECRETS"


class WebhookEndpointStatus(DomainError):
    """The endpoint is enabled or disabled already, or it would have to be enabled."""

    kind, reason = Kind.RULE, "WEBHOOK_ENDPOINT_STATUS"


class ForProcesses(DomainError):
    """Only a process of the installation may do this, whatever roles an account holds."""

    kind, reason = Kind.FORBIDDEN, "PROCESS_ONLY"

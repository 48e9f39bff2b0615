"""What receivers get, for the API document: the `webhooks` section of OpenAPI 3.1."""

from typing import Any

from application.events.cloud_events import MEDIA_TYPE

_TEXT = """An event that the tenant's endpoint wants, by Standard Webhooks 1.0.

Verify before you trust: the signature is HMAC-SHA256 over `webhook-id.webhook-timestamp.body` with the base64-decoded
part of the secret after `whsec_`; compare with each `v1,` value in constant time, and refuse a timestamp more than five
minutes off. The same `webhook-id` may come again: what was handled is answered 2xx and not handled twice. Answer within
10 seconds. Anything but 2xx is tried again, nine times over three days; `Retry-After` is honoured; redirects are not
followed."""

_HEADERS = {
    "webhook-id": (
        "The delivery: the same at every attempt.",
        {"type": "string", "format": "uuid", "maxLength": 36, "examples": ["019ab3c4-5d6e-5f80-9a1b-2c3d4e5f6071"]},
    ),
    "webhook-timestamp": (
        "Seconds since 1970, when this attempt was made.",
        {"type": "string", "pattern": "^[0-9]{1,12}$", "maxLength": 12, "examples": ["1795827600"]},
    ),
    "webhook-signature": (
        "Signatures by each secret that is valid, separated by spaces.",
        {
            "type": "string",
            "pattern": "^v1,[A-Za-z0-9+/=]{44}( v1,[A-Za-z0-9+/=]{44}){0,2}$",
            "maxLength": 143,
            "examples": ["v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4="],
        },
    ),
}
_ANSWERS = {
    "2XX": "The receiver has it.",
    "410": "Nothing is wanted any more: the endpoint is disabled.",
    "default": "It is sent again later.",
}


def describe(document: dict[str, Any]) -> None:
    """Add what receivers get to the API document."""
    document["webhooks"] = {
        "event": {
            "post": {
                "operationId": "webhook_event",
                "tags": ["webhooks"],
                "summary": "An event",
                "description": _TEXT,
                "parameters": [
                    {"name": name, "in": "header", "required": True, "description": text, "schema": schema}
                    for name, (text, schema) in _HEADERS.items()
                ],
                "requestBody": {
                    "required": True,
                    "description": "The event; at most 256 KiB.",
                    "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/CloudEventView"}}},
                },
                "responses": {status: {"description": text} for status, text in _ANSWERS.items()},
            }
        }
    }

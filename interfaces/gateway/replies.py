"""What the gateway itself answers: problem documents in the one shape, with the reasons that the application gives."""

from dataclasses import dataclass, field
from typing import Any

from application.edge.problem_words import MEDIA_TYPE, title_of

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Reply:
    """One status of Envoy, as it leaves us."""

    envoy_status: int
    reason: str
    detail: str
    status: int = 0  # 0: the same
    headers: dict[str, str] = field(default_factory=dict)
    flag: str = ""  # only with this response flag of Envoy
    early: bool = False  # before the request has an id: its connection stands for it

    @property
    def request_id(self) -> str:
        """Envoy's word for the id under which the log tells of the request."""
        return "connection-%CONNECTION_ID%" if self.early else "%REQUEST_HEADER(X-REQUEST-ID):64%"


SIGN_IN = "send a valid token: Authorization: Bearer <JWT> (POST /v1/token gives one)"
AGAIN = {"Retry-After": "1"}

# The first that fits is used; what is not here is a fault of the service.
REPLIES = (
    Reply(
        400,
        "AMBIGUOUS_REQUEST",
        "the request could be understood in two ways, or not at all; write it plainly",
        early=True,
    ),
    Reply(401, "UNAUTHENTICATED", SIGN_IN, headers={"WWW-Authenticate": "Bearer"}),
    Reply(403, "UNAUTHENTICATED", SIGN_IN, status=401, headers={"WWW-Authenticate": 'Bearer error="invalid_token"'}),
    # Routes are always complete, with one for all the rest: without one, this gateway has not heard of any yet.
    Reply(404, "UNAVAILABLE", "the gateway is not ready yet; try again", status=503, headers=AGAIN, flag="NR"),
    Reply(404, "NOT_FOUND", "there is nothing here under this name; check the address"),
    Reply(408, "BODY_TOO_SLOW", "the request did not arrive in time; send it faster or in smaller parts"),
    Reply(
        413, "BODY_TOO_LARGE", "this operation reads fewer bytes; send less at once", headers={"Connection": "close"}
    ),
    Reply(429, "TOO_MANY_REQUESTS", "more requests than allowed in this time; wait as long as Retry-After says"),
    Reply(431, "HEADERS_TOO_LARGE", "send at most 32 KiB and 100 lines of headers", early=True),
    Reply(503, "OVERLOADED", "too many requests are being served; try again", headers=AGAIN, flag="UO"),
    Reply(503, "OVERLOADED", "too many requests are being served; try again", headers=AGAIN, flag="OM"),
    Reply(502, "UNAVAILABLE", "a part of the service cannot be reached; try again", status=503, headers=AGAIN),
    Reply(503, "UNAVAILABLE", "a part of the service cannot be reached; try again", headers=AGAIN),
    Reply(504, "DEADLINE_EXCEEDED", "the answer took too long; ask again with the same Idempotency-Key", headers=AGAIN),
)
REST = Reply(0, "INTERNAL", "something went wrong on our side; report the instance below if it happens again")


def local_replies() -> Json:
    """Envoy's local_reply_config."""
    return {"mappers": [_mapper(reply) for reply in REPLIES], "body_format": _document(REST)}


def _mapper(reply: Reply) -> Json:
    found: Json = {
        "filter": _filter(reply),
        "body_format_override": _document(reply),
        "headers_to_add": [
            {
                "header": {"key": name, "value": value},
                "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
            }
            for name, value in {
                **reply.headers,
                "X-Request-Id": reply.request_id,
                "Cache-Control": "no-store",
                "X-Content-Type-Options": "nosniff",
            }.items()
        ],
    }
    if reply.status:
        found["status_code"] = reply.status
    return found


def _filter(reply: Reply) -> Json:
    status = {
        "status_code_filter": {
            "comparison": {"op": "EQ", "value": {"default_value": reply.envoy_status, "runtime_key": "muster.none"}}
        }
    }
    if not reply.flag:
        return status
    return {"and_filter": {"filters": [status, {"response_flag_filter": {"flags": [reply.flag]}}]}}


def _document(reply: Reply) -> Json:
    return {
        "content_type": MEDIA_TYPE,
        "json_format": {
            "type": f"/problems/{reply.reason}",
            "title": title_of(reply.reason),
            "status": reply.status or reply.envoy_status or "%RESPONSE_CODE%",
            "detail": reply.detail,
            "instance": f"urn:muster:request:{reply.request_id}",
            "reason": reply.reason,
            "errors": [],
        },
    }

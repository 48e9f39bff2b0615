"""The contract of the two streams of published events, which the push hub serves: parameters and description."""

from typing import Annotated, Any

from pydantic import Field

from application.access import roles_for
from application.edge.fields import Query
from application.events.cursor import CURSOR_PATTERN
from application.events.stream_paths import BEARER_PROTOCOL, PROTOCOL, SSE_PATH, WEB_SOCKET_PATH
from application.events.topics import STREAM, TOPICS

MOST_TYPES = 50
_TOPIC = f"({'|'.join(TOPICS)})"
_TYPE = "muster\\.[a-z]{1,30}\\.v[0-9]{1,3}\\.[A-Za-z]{1,100}"


class StreamQuery(Query):
    """What of the published events to hear; never more than the token opens."""

    topics: Annotated[
        str,
        Field(
            description=f"Only these topics, separated by commas: {', '.join(TOPICS)}; empty for all that the roles"
            " open. `tenant` is everything, `me` what concerns oneself.",
            max_length=200,
            examples=["payroll,me"],
        ),
    ] = ""
    types: Annotated[
        str,
        Field(
            description=f"Only events of these types, separated by commas, at most {MOST_TYPES}; empty for all.",
            max_length=6000,
            pattern=f"^({_TYPE}(,{_TYPE}){{0,{MOST_TYPES - 1}}})?$",
            examples=["muster.payroll.v1.PayrollRunFinalizedEvent"],
        ),
    ] = ""
    after: Annotated[
        str,
        Field(
            description="The id of the last message seen: what was missed since comes first. The header Last-Event-ID"
            " goes before it. Empty: only what happens from now on.",
            max_length=1000,
            pattern=CURSOR_PATTERN,
            examples=["WzEseyJwYXlyb2xsIjo0Mn1d"],
        ),
    ] = ""


def describe(document: dict[str, Any]) -> None:
    """Add both streams to the API document."""
    document["paths"][SSE_PATH] = {"get": _operation("stream", _SSE_TEXT, _SSE_ANSWERS, _LAST_EVENT_ID)}
    document["paths"][WEB_SOCKET_PATH] = {"get": _operation("web_socket", _WEB_SOCKET_TEXT, _WEB_SOCKET_ANSWERS)}


_SSE_TEXT = """Published events as they happen, as server-sent events (`text/event-stream`).

Each message has an `id`; come back with it as `Last-Event-ID` and everything missed is sent first, in order, once. A
published event has no `event` field and is a CloudEvents 1.0 document in `data`. Messages with an `event` field are
`hello` (at the beginning), `progress` (a payroll run that is being calculated, at most twice a second, not repeated
later), `reset` (the id was too old or is none: read again what you show, the stream goes on from now) and `end` (with a
reason, before the stream closes). A comment or an id alone every 15 s keeps the connection alive. The stream ends when
the token expires. Send the token in the header only: a browser uses `fetch`, not `EventSource`."""

_WEB_SOCKET_TEXT = f"""Published events as they happen, over a WebSocket.

Each text message is JSON: `id`, `event` and `data` as on `/v1/stream`. A browser, which cannot set headers, offers the
subprotocols `{PROTOCOL}` and `{BEARER_PROTOCOL}<token>`. The client sends nothing but pongs and its close. Codes:
1012 the process is stopping, come back; 1013 the reader was too slow, come back with the last id; 3000 the token
expired; 3003 the account was disabled or its grants changed; 1008 a message was sent."""

_LAST_EVENT_ID = {
    "name": "Last-Event-ID",
    "in": "header",
    "required": False,
    "description": "The id of the last message seen.",
    "schema": {
        "type": "string",
        "maxLength": 1000,
        "pattern": CURSOR_PATTERN,
        "examples": ["WzEseyJwYXlyb2xsIjo0Mn1d"],
    },
}
_REQUEST_ID = {
    "name": "X-Request-Id",
    "in": "header",
    "required": False,
    "description": "A name for this request in logs; made where it is missing, and always answered.",
    "schema": {
        "type": "string", "minLength": 1, "maxLength": 64, "pattern": "^[A-Za-z0-9._-]+$", "examples": ["9f1c2d"],
    },
}  # fmt: skip
_ANSWERED = {
    "X-Request-Id": {"description": "Name of this request in logs.", "schema": {"type": "string", "maxLength": 64}}
}
_SSE_ANSWERS = {
    "200": {
        "description": "The stream; it does not end by itself before the token expires.",
        "headers": _ANSWERED,
        "content": {
            "text/event-stream": {
                "schema": {"type": "string", "description": "Server-sent events."},
                "example": 'id: WzEseyJwYXlyb2xsIjo0Mn1d\ndata: {"specversion":"1.0","type":"muster.payroll.v1.'
                'PayrollRunFinalizedEvent","subject":"payroll_run/019ab3c4-5d6e-7f80-9a1b-2c3d4e5f6071"}\n\n',
            }
        },
    }
}
_WEB_SOCKET_ANSWERS = {"101": {"description": "The WebSocket is open.", "headers": _ANSWERED}}


def _operation(name: str, text: str, answers: dict[str, Any], *headers: dict[str, Any]) -> dict[str, Any]:
    summary, _, description = text.partition("\n\n")
    return {
        "tags": ["events"],
        "summary": summary.removesuffix("."),
        "description": description,
        "operationId": name,
        "parameters": [*_parameters(), *headers, _REQUEST_ID],
        "responses": answers
        | {str(status): {"$ref": f"#/components/responses/{status}"} for status in (400, 401, 403, 422, 429, 500, 503)},
        "x-stream": True,
        "x-criticality": "NORMAL",
        "x-roles": list(roles_for(STREAM)),
        "security": [{"bearer": []}],
    }


def _parameters() -> list[dict[str, Any]]:
    found = []
    for name, described in StreamQuery.model_json_schema()["properties"].items():
        schema = {key: value for key, value in described.items() if key not in ("title", "description")}
        found.append(
            {"name": name, "in": "query", "required": False, "description": described["description"], "schema": schema}
        )
    return found

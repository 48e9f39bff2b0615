"""What a listener is sent: one object per message, encoded once for all who hear it."""

from collections.abc import MutableMapping
from functools import cached_property
from typing import Any

import orjson

from application.events.cloud_events import cloud_event
from application.events.cursor import Cursor
from application.events.topics import Key, keys_of_event
from chassis.bus.port import Entry

PROGRESS, RESET, END, HELLO = "progress", "reset", "end", "hello"

Frame = MutableMapping[str, Any]


class Message:
    """Something to send, in both forms.

    Invariants: a frame is made at most once and is shared by all listeners, who only read it; `cursor` is what the
    client names to go on after this message, "" where it says nothing about that.
    """

    __slots__ = ("__dict__", "body", "cursor", "kind", "last", "retry_ms", "type")

    def __init__(
        self, body: bytes, *, cursor: str = "", kind: str = "", type: str = "", retry_ms: int = 0, last: bool = False
    ) -> None:
        """`body`: JSON; `kind` "" for a published event; `last` ends the stream; `type` is that of the event."""
        self.body = body
        self.cursor = cursor
        self.kind = kind
        self.type = type
        self.retry_ms = retry_ms
        self.last = last

    @cached_property
    def sse(self) -> Frame:
        """As a part of the body of a `text/event-stream`."""
        lines = []
        if self.retry_ms:
            lines.append(b"retry: %d\n" % self.retry_ms)
        if self.kind:
            lines.append(b"event: %s\n" % self.kind.encode())
        if self.cursor:
            lines.append(b"id: %s\n" % self.cursor.encode())
        lines.append(b"data: %s\n\n" % self.body if self.body else b"\n")
        return {"type": "http.response.body", "body": b"".join(lines), "more_body": not self.last}

    @cached_property
    def web_socket(self) -> Frame:
        """As a text message."""
        parts = []
        if self.cursor:
            parts.append(f'"id":"{self.cursor}"')
        if self.kind:
            parts.append(f'"event":"{self.kind}"')
        if self.body:
            parts.append(f'"data":{self.body.decode()}')
        return {"type": "websocket.send", "text": "{" + ",".join(parts) + "}"}


class Published:
    """One published event as the hub keeps it.

    Invariants: it is encoded when the first listener hears it, never for nobody.
    """

    __slots__ = ("__dict__", "entry", "keys", "service", "size")

    def __init__(self, service: str, entry: Entry) -> None:
        self.service = service
        self.entry = entry
        self.keys: tuple[Key, ...] = keys_of_event(entry)
        self.size = entry.ByteSize()

    @property
    def position(self) -> int:
        """Its place in the feed of its service."""
        return self.entry.position

    @cached_property
    def body(self) -> bytes:
        """CloudEvents 1.0 JSON."""
        return orjson.dumps(cloud_event(self.service, self.entry))

    def after(self, cursor: Cursor) -> Message:
        """The message for listeners who, with it, have heard everything up to `cursor`."""
        return Message(self.body, cursor=str(cursor), type=self.entry.type)


def told(kind: str, facts: dict[str, Any], *, cursor: str = "", retry_ms: int = 0, last: bool = False) -> Message:
    """A message of the hub itself."""
    return Message(orjson.dumps(facts), kind=kind, cursor=cursor, retry_ms=retry_ms, last=last)


def heartbeat(cursor: str) -> Message:
    """Moves a client's place on without telling it anything: an event without data is dispatched by no browser."""
    return Message(b"", cursor=cursor)

"""What can be asked about events: which there were, which work parked, and to try it again."""

import asyncio
from collections.abc import Mapping
from functools import partial
from uuid import UUID

from google.protobuf.message import DecodeError
from muster.event.v1 import event_feed_pb2 as wire
from muster.event.v1 import event_feed_pb2_grpc

from application.edge.authorize import allow
from application.edge.calls import Calls
from application.edge.exchange import current_exchange
from application.edge.pages import Page, Source, one_after_the_other
from application.edge.refusal import NotThere
from application.edge.wire import from_instant, optional_id, ready_made
from application.events import schemas
from application.events.cloud_events import cloud_event
from application.events.cursor import Cursor
from application.events.feeds import Feeds, FeedWatch
from chassis.bus.consumer import event_of
from chassis.rpc.channels import Client

NOT_PARKED = "EVENT_NOT_PARKED"
UNEXPECTED = "FAILED_UNEXPECTEDLY"
ID_LENGTH = 36
ANSWER_S = 1.0  # of a request's time, kept for its answer


class Events:
    """The use cases of published events.

    Invariants: a tenant sees and replays its own only; a page holds what parked at one service after the other, oldest
    first, and asks at most each of them once.
    """

    def __init__(self, clients: Mapping[str, Client]) -> None:
        """`clients`: the data services by name, in the order of the list."""
        self._calls = {name: Calls(client) for name, client in clients.items()}
        self._all = Feeds(clients)
        self._watch = FeedWatch(clients)
        self._feeds = {name: client.stub(event_feed_pb2_grpc.EventFeedServiceStub) for name, client in clients.items()}

    async def feed(self, query: schemas.EventsQuery) -> schemas.EventPage:
        """A page of the company's events; waits for the first one where it may."""
        allow("event.read")
        exchange, clock = current_exchange(), asyncio.get_running_loop()
        until = min(clock.time() + query.wait, exchange.deadline - ANSWER_S)
        cursor, types = Cursor.parse(query.after), [name for name in query.types.split(",") if name]
        while True:
            page = await self._all.page(exchange.caller, cursor, query.limit, types)
            wait_s = until - clock.time()
            if page.entries or page.has_more or wait_s <= 0:
                break
            cursor = page.cursor
            await self._watch.news(exchange.caller.tenant_id, page.heads, wait_s)
        answer = {
            "data": [cloud_event(name, entry) for name, entry in page.entries],
            "next_cursor": str(page.cursor),
            "has_more": page.has_more,
        }
        return ready_made(schemas.EventPage, answer)

    async def work_items(self, query: schemas.WorkItemsQuery) -> Page[schemas.WorkItemView]:
        """A page of the work that parked."""
        allow("work_item.read")
        sources: dict[str, Source[schemas.WorkItemView]] = {
            name: partial(self._parked, name, query.step or "") for name in self._feeds if query.service in (None, name)
        }
        data, cursor = await one_after_the_other(sources, query.limit, query.cursor)
        return Page[schemas.WorkItemView].model_construct(data=data, next_cursor=cursor)

    async def _parked(self, name: str, step: str, limit: int, token: str) -> tuple[list[schemas.WorkItemView], str]:
        request = wire.ListParkedRequest(consumer=step, page_size=limit, page_token=token)
        answer = await self._calls[name].read(self._feeds[name].ListParked, request)
        return [work_item_view(name, one) for one in answer.parked_events], answer.next_page_token

    async def replay(self, work_item_id: str) -> schemas.WorkItemReplayView:
        """Hand the event to its step once more."""
        allow("work_item.mend")
        service, _, rest = work_item_id.partition(".")
        feed = self._feeds.get(service)
        if feed is None:
            raise NotThere.because(NOT_PARKED)
        step, event_id = rest[: -ID_LENGTH - 1], rest[-ID_LENGTH:]
        await self._calls[service].write(feed.Replay, wire.ReplayRequest(consumer=step, event_id=event_id))
        return schemas.WorkItemReplayView.model_construct(id=work_item_id, status="REPLAYING")


def work_item_view(service: str, parked: wire.ParkedEvent) -> schemas.WorkItemView:
    """A parked event as the person who mends it sees it."""
    entry = parked.entry
    reason, detail = why(parked)
    return schemas.WorkItemView.model_construct(
        id=f"{service}.{parked.consumer}.{entry.event_id}",
        service=service,
        step=parked.consumer,
        event=entry.type.rpartition(".")[2],
        subject=entry.aggregate_type,
        subject_id=UUID(entry.aggregate_id),
        employee_id=optional_id(_employee_of(entry)),
        reason=reason,
        detail=detail,
        attempts=parked.attempts,
        occurred_at=from_instant(entry.occurred_time),
        parked_at=from_instant(parked.parked_time),
    )


def why(parked: wire.ParkedEvent) -> tuple[str, str]:
    """The reason's code and the words beside it, of "step: REASON: words" as consumers tell it."""
    told = parked.reason.removeprefix(f"{parked.consumer}: ")
    code, separator, words = told.partition(": ")
    if separator and code.isascii() and code.replace("_", "").isalnum() and code == code.upper():
        return code, words
    return UNEXPECTED, told


def _employee_of(entry: wire.Entry) -> str:
    if entry.aggregate_type == "employee":
        return entry.aggregate_id
    try:
        return str(getattr(event_of(entry), "employee_id", ""))
    except (KeyError, DecodeError):
        return ""  # of a newer publisher

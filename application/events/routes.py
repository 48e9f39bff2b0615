"""REST operations of published events: the durable feed, and work that parked."""

from typing import Annotated

from fastapi import Depends, Path, Query, Request

from application.edge.operation import Criticality
from application.edge.pages import Page
from application.edge.routes import Routes
from application.events import schemas
from application.events.use_cases import Events

routes = Routes("events")


async def events_of(request: Request) -> Events:
    """The use cases of this application."""
    found: Events = request.app.state.events
    return found


Uses = Annotated[Events, Depends(events_of)]
WorkItemId = Annotated[schemas.WorkItemId, Path(description="The work item.")]


@routes.get("/v1/events", "event.read", tag="events", criticality=Criticality.DEFERRABLE, statuses=(410,), waits=True)
async def list_events(query: Annotated[schemas.EventsQuery, Query()], events: Uses) -> schemas.EventPage:
    """The company's events of the last 30 days as CloudEvents 1.0, in order, from a cursor on.

    Each event once per walk along the cursors, an aggregate's in the order of its versions, those of different parts
    roughly by time. A cursor that is older than what is kept is refused (CURSOR_EXPIRED).
    """
    return await events.feed(query)


@routes.get("/v1/work-items", "work_item.read", tag="events", criticality=Criticality.DEFERRABLE)
async def list_work_items(
    query: Annotated[schemas.WorkItemsQuery, Query()], events: Uses
) -> Page[schemas.WorkItemView]:
    """Work that parked: steps that follow from events and could not be done, each with its reason and its mend."""
    return await events.work_items(query)


@routes.post("/v1/work-items/{work_item_id}/replay", "work_item.mend", tag="events", status=202)
async def replay_work_item(work_item_id: WorkItemId, events: Uses) -> schemas.WorkItemReplayView:
    """Try a step that parked once more, after its cause was mended: it leaves the list, or comes back with a reason."""
    return await events.replay(work_item_id)

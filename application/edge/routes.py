"""How a service declares its REST operations: route, access, importance and limits in one place."""

from collections.abc import Callable
from typing import Any, TypeVar

from fastapi import APIRouter
from starlette.responses import JSONResponse

from application.edge.operation import Criticality, IfMatch, Operation, RateClass, declare, response_of

EndpointT = TypeVar("EndpointT", bound=Callable[..., Any])


class Routes:
    """The operations of one service, collected for `create_app`.

    Invariants: an operation's name is the service and the function's name; no two are equal.
    """

    def __init__(self, service: str) -> None:
        self.service = service
        self.router = APIRouter(redirect_slashes=False)

    def get(self, path: str, action: str | None, **options: Any) -> Callable[[EndpointT], EndpointT]:
        """A read. Options: those of `operation`."""
        return self.operation("GET", path, action, **options)

    def post(self, path: str, action: str | None, **options: Any) -> Callable[[EndpointT], EndpointT]:
        """A change with an Idempotency-Key. Options: those of `operation`."""
        return self.operation("POST", path, action, **options)

    def put(self, path: str, action: str | None, **options: Any) -> Callable[[EndpointT], EndpointT]:
        """A change that may be repeated. Options: those of `operation`."""
        return self.operation("PUT", path, action, **options)

    def patch(self, path: str, action: str | None, **options: Any) -> Callable[[EndpointT], EndpointT]:
        """A change of named fields. Options: those of `operation`."""
        return self.operation("PATCH", path, action, **options)

    def delete(self, path: str, action: str | None, **options: Any) -> Callable[[EndpointT], EndpointT]:
        """A withdrawal. Options: those of `operation`."""
        return self.operation("DELETE", path, action, **options)

    def operation(
        self,
        method: str,
        path: str,
        action: str | None,
        *,
        tag: str,
        status: int = 200,
        criticality: Criticality = Criticality.NORMAL,
        if_match: IfMatch = IfMatch.NONE,
        body_bytes: int = 0,
        keyed: bool = True,
        rate: RateClass | None = None,
        statuses: tuple[int, ...] = (),
        waits: bool = False,
    ) -> Callable[[EndpointT], EndpointT]:
        """An operation; `action` is its row in the access table (None: no token needed), `body_bytes` 0 the default.

        `keyed=False` for what changes nothing that could be done twice (signing in, reads by POST). `rate` None: by
        tenant, where there is no token by address. `statuses`: refusals beside those of its kind. `waits`: until
        something happens.
        """
        counted = rate or (RateClass.ADDRESS if action is None else RateClass.TENANT)
        accepts_key = keyed and method != "GET"

        def register(endpoint: EndpointT) -> EndpointT:
            name = f"{self.service}.{endpoint.__name__}"
            declare(
                endpoint,
                Operation(name, action, criticality, if_match, body_bytes, accepts_key, counted, statuses, waits),
            )
            self.router.add_api_route(
                path,
                endpoint,
                methods=[method],
                status_code=status,
                operation_id=endpoint.__name__,
                name=name,
                tags=[tag],
                response_class=response_of(endpoint) or JSONResponse,
            )
            return endpoint

        return register

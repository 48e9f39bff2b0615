"""One operation as it is served: its parameters, body and answer, compiled once from the endpoint's signature."""

import inspect
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import orjson
from fastapi import params
from fastapi.routing import APIRoute
from pydantic import TypeAdapter, ValidationError
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from application.edge.given import InvalidInput, query_parameters
from application.edge.operation import Operation, operation_of, response_of

Provider = Callable[[Request], Awaitable[Any]]


class Endpoint:
    """The function behind a route, called with validated arguments.

    FastAPI describes the route; this serves it, at a third of the price of FastAPI's own generic handler.

    Invariants: an endpoint takes path parameters, at most one query model, at most one body, providers of what it
    uses, and at most one Response to set a status on.
    """

    def __init__(self, route: APIRoute) -> None:
        self.operation: Operation = operation_of(route.endpoint)
        self._call: Callable[..., Awaitable[Any]] = route.endpoint
        self._status = route.status_code or 200
        self._path = [(one.name, _adapter(one)) for one in route.dependant.path_params]
        self._query = _query_of(route)
        self._body = _body_of(route)
        self._providers = _providers_of(route)
        self._response_name = route.dependant.response_param_name
        self._result: TypeAdapter[Any] | None = None  # None where the endpoint makes the response itself
        if response_of(route.endpoint) is None:
            if route.response_field is None:
                raise TypeError(f"{self.operation.name} does not declare what it returns")
            self._result = TypeAdapter(inspect.signature(route.endpoint).return_annotation)

    @property
    def has_body(self) -> bool:
        """Whether it takes one."""
        return self._body is not None

    async def serve(self, scope: Scope, path: Mapping[str, str], body: Any, given: bool) -> Response:
        """The answer for path parameters as text and a decoded body (`given`: there was one). Raises InvalidInput."""
        arguments = self._validated(scope["query_string"], path, body, given)
        if self._providers:
            request = Request(scope)
            for name, provide in self._providers:
                arguments[name] = await provide(request)
        changeable = Response(status_code=self._status)
        if self._response_name is not None:
            arguments[self._response_name] = changeable
        result = await self._call(**arguments)
        if self._result is None:
            answer: Response = result
            return answer
        # What we built is not validated again, and a newer enum value of a data service is no reason to warn.
        ready = type(result) is dict
        content = orjson.dumps(result) if ready else self._result.dump_json(result, warnings="none")
        return Response(content, status_code=changeable.status_code, media_type="application/json")

    def _validated(self, query: bytes, path: Mapping[str, str], body: Any, given: bool) -> dict[str, Any]:
        arguments: dict[str, Any] = {}
        errors: list[Any] = []
        for name, adapter in self._path:
            _validate(adapter, path[name], ("path", name), name, arguments, errors)
        if self._query is not None:
            name, adapter = self._query
            _validate(adapter, query_parameters(query), ("query",), name, arguments, errors)
        elif query:
            errors += [{"type": "extra_forbidden", "loc": ("query", name)} for name in query_parameters(query)]
        if self._body is not None:
            name, adapter, required = self._body
            if given:
                _validate(adapter, body, ("body",), name, arguments, errors)
            elif required:
                errors.append({"type": "missing", "loc": ("body",)})
        if errors:
            raise InvalidInput(errors)
        return arguments


def _adapter(field: Any) -> TypeAdapter[Any]:
    adapter: TypeAdapter[Any] = field._type_adapter
    return adapter


def _query_of(route: APIRoute) -> tuple[str, TypeAdapter[Any]] | None:
    found = route.dependant.query_params
    if not found:
        return None
    if len(found) > 1:
        raise TypeError(f"{route.name} takes query parameters one by one: use one model")
    return found[0].name, _adapter(found[0])


def _body_of(route: APIRoute) -> tuple[str, TypeAdapter[Any], bool] | None:
    found = route.dependant.body_params
    if not found:
        return None
    if len(found) > 1:
        raise TypeError(f"{route.name} takes more than one body")
    return found[0].name, _adapter(found[0]), bool(found[0].field_info.is_required())


def _providers_of(route: APIRoute) -> list[tuple[str, Provider]]:
    providers: list[tuple[str, Provider]] = []
    for name, parameter in inspect.signature(route.endpoint).parameters.items():
        for mark in getattr(parameter.annotation, "__metadata__", ()):
            if isinstance(mark, params.Depends):
                assert mark.dependency is not None
                providers.append((name, mark.dependency))
    return providers


def _validate(
    adapter: TypeAdapter[Any],
    value: Any,
    loc: tuple[str, ...],
    name: str,
    arguments: dict[str, Any],
    errors: list[Any],
) -> None:
    try:
        arguments[name] = adapter.validate_python(value)
    except ValidationError as invalid:
        for error in invalid.errors(include_url=False, include_input=False):
            error["loc"] = (*loc, *error["loc"])
            errors.append(error)

"""Every exception of an endpoint as a problem document, by one table."""

import grpc
import structlog
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match

from application.edge.exchange import Exchange, current_exchange
from application.edge.middleware import refusal_response
from application.edge.problem import field_errors, problem_response
from application.edge.refusal import NOTHING_THERE, MethodNotAllowed, NotThere, Refusal, UnreadableBody
from chassis.rpc.error_map import Problem, RemoteError, problem_of, remote_error
from kernel.errors import DomainError, Kind

log = structlog.get_logger(__name__)

UNREACHABLE = frozenset({502, 503, 504})


def install(app: FastAPI) -> None:
    """Answer refusals, remote and domain errors, invalid requests and unknown routes."""
    app.add_exception_handler(Refusal, _refused)
    app.add_exception_handler(DomainError, _failed)
    app.add_exception_handler(RemoteError, _failed)
    app.add_exception_handler(grpc.aio.AioRpcError, _failed)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _by_status)


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refusal)
    return refusal_response(error, current_exchange().trace_id)


async def _failed(request: Request, error: Exception) -> Response:
    exchange = current_exchange()
    if isinstance(error, grpc.aio.AioRpcError):
        error = remote_error(error)
    problem = problem_of(error, incident=exchange.trace_id, if_match=bool(exchange.if_match))
    if problem.status >= 500:
        log.warning("call failed", reason=problem.reason, trace_id=exchange.trace_id, operation=_name(exchange))
    return _answer(problem, exchange)


def _answer(problem: Problem, exchange: Exchange) -> Response:
    """A problem from inside as the client sees it."""
    if problem.kind is Kind.NOT_FOUND:
        # One answer for what is not there and for what the caller may not know of, to the last byte.
        return problem_response(404, problem.reason, NOTHING_THERE, trace_id=exchange.trace_id)
    headers: dict[str, str] = {}
    if problem.retry_after_s is not None or problem.reason == "REQUEST_IN_FLIGHT":
        headers["Retry-After"] = str(problem.retry_after_s or 1)
    facts = dict(problem.facts)
    if problem.incident:
        facts["incident"] = problem.incident
    return problem_response(
        problem.status,
        problem.reason,
        problem.message,
        trace_id=exchange.trace_id,
        errors=[{"field": one.field, "reason": one.reason, "message": one.message} for one in problem.fields],
        facts=facts,
        headers=headers,
    )


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    errors = field_errors(error.errors())
    detail = "; ".join(f"{one['field']}: {one['message']}" for one in errors[:3])
    return problem_response(422, "INVALID_REQUEST", detail[:1000], trace_id=current_exchange().trace_id, errors=errors)


async def _by_status(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    refusal: Refusal
    if error.status_code == 405:
        methods = ", ".join(sorted(_methods(request)))
        refusal = MethodNotAllowed(f"use one of: {methods}", headers={"Allow": methods})
    elif error.status_code == 404:
        refusal = NotThere(NOTHING_THERE)
    else:
        refusal = UnreadableBody("the request could not be read; compare it with the API documentation")
    return refusal_response(refusal, current_exchange().trace_id)


def _methods(request: Request) -> set[str]:
    allowed: set[str] = set()
    for route in request.app.router.routes:
        match, _ = route.matches(request.scope)
        if match is not Match.NONE:
            allowed |= set(getattr(route, "methods", None) or ())
    return allowed


def _name(exchange: Exchange) -> str:
    return exchange.operation.name if exchange.operation is not None else ""

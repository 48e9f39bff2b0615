"""Every exception of an endpoint as a problem document, by one table."""

import grpc
import structlog
from starlette.responses import Response

from application.edge.exchange import Exchange
from application.edge.given import InvalidInput
from application.edge.problem import field_errors, problem_response
from application.edge.refusal import NOTHING_THERE, Refusal
from chassis.rpc.error_map import Problem, RemoteError, problem_of, remote_error
from kernel.errors import DomainError, Kind

log = structlog.get_logger(__name__)

# What every call inside names its own way, by the name under which a client sends it.
ASKED_AS = {
    "catalog_version": "version",
    "etag": "If-Match",
    "page_size": "limit",
    "page_token": "cursor",
    "request_id": "Idempotency-Key",
}


def answer_to(error: Exception, exchange: Exchange) -> Response | None:
    """The problem document for an exception, None for one that nobody foresaw."""
    if isinstance(error, Refusal):
        return refusal_response(error, exchange.trace_id)
    if isinstance(error, InvalidInput):
        return _invalid(error, exchange)
    if isinstance(error, grpc.aio.AioRpcError):
        error = remote_error(error)
    if isinstance(error, DomainError | RemoteError):
        problem = problem_of(error, incident=exchange.trace_id, if_match=bool(exchange.if_match))
        if problem.status >= 500:
            log.warning("call failed", reason=problem.reason, trace_id=exchange.trace_id, operation=exchange.name)
        return _answer(problem, exchange)
    return None


def refusal_response(refusal: Refusal, trace_id: str) -> Response:
    """The answer for what the edge refuses."""
    errors = []
    if refusal.field is not None:
        errors.append({"field": refusal.field, "reason": refusal.reason, "message": refusal.message})
    return problem_response(
        refusal.status, refusal.reason, refusal.message, trace_id=trace_id, errors=errors, headers=refusal.headers
    )


def _invalid(error: InvalidInput, exchange: Exchange) -> Response:
    errors = field_errors(error.errors)
    detail = "; ".join(f"{one['field']}: {one['message']}" for one in errors[:3])
    return problem_response(422, "INVALID_REQUEST", detail[:1000], trace_id=exchange.trace_id, errors=errors)


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
        errors=[
            {"field": ASKED_AS.get(one.field, one.field), "reason": one.reason, "message": one.message}
            for one in problem.fields
        ],
        facts=facts,
        headers=headers,
    )

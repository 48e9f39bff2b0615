"""`/livez` and `/readyz` of a process that speaks HTTP."""

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from chassis.health import Readiness


def routes(readiness: Readiness) -> list[Route]:
    """Both routes, over the checks of the process."""

    async def ready(request: Request) -> Response:
        report = await readiness.report()
        return Response(
            orjson.dumps({"ready": report.ready, "checks": report.findings}),
            status_code=200 if report.ready else 503,
            media_type="application/json",
            headers={} if report.ready else {"Retry-After": "1"},
        )

    return [Route("/livez", _alive, methods=["GET"]), Route("/readyz", ready, methods=["GET"])]


async def _alive(request: Request) -> Response:
    return Response(b'{"status":"alive"}', media_type="application/json")

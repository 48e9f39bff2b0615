"""Documentation that works without internet: the OpenAPI document and a page that shows it."""

from pathlib import Path

import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

STATIC = Path(__file__).parent.parent / "static"
ASSETS = {
    "swagger-ui-bundle.js": "text/javascript",
    "swagger-ui.css": "text/css",
    "docs.js": "text/javascript",
}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'"
)


def routes(app: Starlette) -> list[Route]:
    """`/openapi.json`, `/docs` and the files of the page."""
    encoded: list[bytes] = []

    async def document(request: Request) -> Response:
        if not encoded:
            encoded.append(orjson.dumps(app.state.document()))
        return Response(encoded[0], media_type="application/json")

    async def page(request: Request) -> Response:
        return Response(
            (STATIC / "docs.html").read_bytes(), media_type="text/html", headers={"Content-Security-Policy": POLICY}
        )

    async def asset(request: Request) -> Response:
        name = request.path_params["name"]
        if name not in ASSETS:
            return Response(status_code=404)
        return Response(
            (STATIC / name).read_bytes(), media_type=ASSETS[name], headers={"Cache-Control": "public, max-age=3600"}
        )

    return [
        Route("/openapi.json", document, methods=["GET"]),
        Route("/docs", page, methods=["GET"]),
        Route("/docs/{name}", asset, methods=["GET"]),
    ]

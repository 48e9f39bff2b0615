"""Documentation that works without internet: the OpenAPI document and a page that shows it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from application.edge.refusal import NOTHING_THERE, NotThere

STATIC = Path(__file__).parent.parent / "static"
PROBLEMS = Path(__file__).parents[2] / "docs" / "problems.md"
ASSETS = {
    "swagger-ui-bundle.js": "text/javascript",
    "swagger-ui.css": "text/css",
    "docs.js": "text/javascript",
}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'"
)


def routes(describe: Callable[[], dict[str, Any]]) -> list[Route]:
    """`/openapi.json`, `/docs` and the files of the page."""
    encoded: list[bytes] = []

    async def document(request: Request) -> Response:
        if not encoded:
            encoded.append(orjson.dumps(describe()))
        return Response(encoded[0], media_type="application/json")

    async def page(request: Request) -> Response:
        return Response(
            (STATIC / "docs.html").read_bytes(), media_type="text/html", headers={"Content-Security-Policy": POLICY}
        )

    async def asset(request: Request) -> Response:
        name = request.path_params["name"]
        if name not in ASSETS:
            raise NotThere(NOTHING_THERE)
        return Response(
            (STATIC / name).read_bytes(), media_type=ASSETS[name], headers={"Cache-Control": "public, max-age=3600"}
        )

    explained: dict[str, str] = {}

    async def problem(request: Request) -> Response:
        if not explained and PROBLEMS.exists():
            _, *sections = PROBLEMS.read_text().split("\n### ")
            explained.update((section.partition("\n")[0], section.partition("\n## ")[0]) for section in sections)
        text = explained.get(request.path_params["reason"])
        if text is None:
            raise NotThere(NOTHING_THERE)
        return Response(f"# {text.strip()}\n", media_type="text/markdown")

    return [
        Route("/problems/{reason}", problem, methods=["GET"]),
        Route("/openapi.json", document, methods=["GET"]),
        Route("/docs", page, methods=["GET"]),
        Route("/docs/{name}", asset, methods=["GET"]),
    ]

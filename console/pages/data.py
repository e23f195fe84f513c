"""검색 데이터: how to have a log of queries; there is none yet to read."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from console.security.roles import requires
from console.templating import Link, render

links = (Link("검색 데이터", "/data", 40),)


@requires("read")
async def show(request: Request) -> Response:
    """The page."""
    return render(request, "data.html")


routes = [Route("/data", show, methods=["GET"])]

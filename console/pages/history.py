"""One-click restore: an entry as it was after a change of its history."""

from __future__ import annotations

import anyio.to_thread
from malgil_core.catalog.service import Service
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from console import messages
from console.pages import errors
from console.security.roles import requires
from store.errors import InvalidError, NotFoundError, StoreError
from store.store import Store


@requires("edit")
async def restore(request: Request) -> Response:
    """Restore an entry."""

    def restored() -> Response:
        store: Store = request.app.state.store
        number: int = request.path_params["number"]
        if number >= 2**53:  # no database counts so far
            raise NotFoundError(f"there is no change {number}")
        try:
            stored = store.restore(number, by=request.state.user.name)
        except NotFoundError:
            raise
        except InvalidError as error:
            sentences = [sentence for found in messages.by_field(error.problems).values() for sentence in found]
            return errors.page(request, 409, "지금은 되돌릴 수 없어요. " + " ".join(sentences))
        except StoreError:
            return errors.page(request, 409, "되돌릴 수 있는 이력이 아니에요.")
        if isinstance(stored.value, Service):
            return RedirectResponse(f"/services/{stored.value.id}?done=restored", 303)
        return RedirectResponse(f"/null-topics/{stored.key}?done=restored", 303)

    return await anyio.to_thread.run_sync(restored)


routes = [Route("/history/{number:int}/restore", restore, methods=["POST"])]

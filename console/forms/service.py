"""The form of a service: 서비스 관리."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from malgil_core.catalog.service import Service
from starlette.datastructures import FormData

from console.forms.fields import Errors, FormError, lines, shown_lines, text, whole_number
from console.view import View
from store.types import Stored


@dataclass(frozen=True)
class ServiceForm:
    """What stands in the fields.

    Attributes:
        version: of the entry when the form was opened; empty for a new one.
        suggested: the id that the form of a new service came with.
        own_path: the path that is kept, where it is not the tree's.
    """

    id: str = ""
    parent_id: str = ""
    service_id: str = ""
    name: str = ""
    open: bool = False
    phrases: str = ""
    memo: str = ""
    surfaces: tuple[str, ...] = ()
    more_surfaces: str = ""
    threshold: str = ""
    own_path: str = ""
    version: str = ""
    suggested: str = ""

    @classmethod
    def of(cls, form: FormData) -> ServiceForm:
        """What was sent."""
        texts = {
            field.name: text(form, field.name)
            for field in dataclasses.fields(cls)
            if field.name not in ("open", "surfaces")
        }
        surfaces = tuple(value for value in form.getlist("surfaces") if isinstance(value, str))
        return cls(**texts, open=text(form, "open") == "1", surfaces=surfaces)

    @classmethod
    def stored(cls, stored: Stored[Service], view: View) -> ServiceForm:
        """A service as it is stored."""
        service = stored.value
        derived = view.path(service.name, service.parent_id)
        return cls(
            id=str(service.id),
            parent_id="" if service.parent_id is None else str(service.parent_id),
            service_id=service.service_id,
            name=service.name,
            open=service.open,
            phrases=shown_lines(service.phrases),
            memo=service.memo.replace("\r\n", "\n"),
            surfaces=service.surfaces,
            threshold="" if service.threshold is None else f"{service.threshold:.15g}",
            own_path="" if service.path == derived else service.path,
            version=str(stored.version),
        )

    def service(self, view: View, before: Service | None) -> Service:
        """The service that the fields make; the store checks the rest.

        Raises:
            FormError: a field is no number.
        """
        errors: Errors = {}
        id = before.id if before else whole_number(self.id)
        if id is None:
            errors["id"] = ["0 이상의 정수로 적어 주세요."]
        parent_text = self.parent_id.strip().split(" ")[0]  # a list of suggestions may add the name
        parent_id = whole_number(parent_text) if parent_text else None
        if parent_text and parent_id is None:
            errors["parent_id"] = ["상위 서비스의 ID를 숫자로 적어 주세요. 맨 위에 두려면 비워 주세요."]
        threshold = _threshold(self.threshold)
        if isinstance(threshold, str):
            errors["threshold"] = [threshold]
        if errors:
            raise FormError(errors)
        assert id is not None
        assert not isinstance(threshold, str)
        name = self.name.strip()
        memo = self.memo
        if before and before.memo.replace("\r\n", "\n") == memo:
            memo = before.memo
        phrases = lines(self.phrases, before.phrases if before else ())
        return Service(
            id=id,
            parent_id=parent_id,
            service_id=self.service_id.strip(),
            name=name,
            path=self.own_path.strip() or view.path(name, parent_id),
            open=self.open,
            phrases=phrases or ((name,) if name else ()),  # a catalog has at least one; the name is one anyway
            memo=memo,
            surfaces=self.all_surfaces(before),
            threshold=threshold,
        )

    def all_surfaces(self, before: Service | None = None) -> tuple[str, ...]:
        """The chosen surfaces: those from before in their order, then the others, then the new ones."""
        chosen = [*self.surfaces, *(name.strip() for name in self.more_surfaces.split(",") if name.strip())]
        kept = [name for name in (before.surfaces if before else ()) if name in chosen]
        return tuple(dict.fromkeys([*kept, *chosen]))

    def with_fields(self, **fields: Any) -> ServiceForm:
        """The form with other content in some fields."""
        return dataclasses.replace(self, **fields)


def _threshold(typed: str) -> float | str | None:
    """The number, None for an empty field, or a sentence."""
    typed = typed.strip()
    if not typed:
        return None
    try:
        return float(typed)
    except ValueError:
        return "‘0.71’처럼 -1에서 1 사이의 수로 적어 주세요. 쓰지 않으려면 비워 주세요."

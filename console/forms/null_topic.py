"""The form of a null topic: 앱에 없는 것."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from malgil_core.catalog.null_topic import NullTopic
from starlette.datastructures import FormData

from console.forms.fields import lines, shown_lines, text
from store.types import Stored


@dataclass(frozen=True)
class NullTopicForm:
    """What stands in the fields; `version` as in a service's form."""

    name: str = ""
    phrases: str = ""
    version: str = ""

    @classmethod
    def of(cls, form: FormData) -> NullTopicForm:
        """What was sent."""
        return cls(text(form, "name"), text(form, "phrases"), text(form, "version"))

    @classmethod
    def stored(cls, stored: Stored[NullTopic]) -> NullTopicForm:
        """A null topic as it is stored."""
        return cls(stored.value.name, shown_lines(stored.value.phrases), str(stored.version))

    def topic(self, before: NullTopic | None) -> NullTopic:
        """The null topic that the fields make; the store checks it."""
        return NullTopic(self.name.strip(), lines(self.phrases, before.phrases if before else ()))

    def with_fields(self, **fields: Any) -> NullTopicForm:
        """The form with other content in some fields."""
        return dataclasses.replace(self, **fields)

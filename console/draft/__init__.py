"""The draft: the store's catalog, searched in memory exactly as the server would answer once it is published."""

from console.draft.draft import Draft
from console.draft.problems import DraftError
from console.draft.types import Answer, DraftState, Hit, Missing, Neighbour, NullAnswer

__all__ = ["Answer", "Draft", "DraftError", "DraftState", "Hit", "Missing", "Neighbour", "NullAnswer"]

"""The forms: what was typed, as it was typed, and the entry of the catalog that it makes."""

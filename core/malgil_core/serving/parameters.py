"""Parameters of a model, from its config.pbtxt."""

from __future__ import annotations

import json


def read_parameters(model_config: str) -> dict[str, str]:
    """Name → value, from the configuration that Triton gives `initialize`, in JSON."""
    parameters = json.loads(model_config)["parameters"]
    return {name: parameter["string_value"] for name, parameter in parameters.items()}


def is_on(name: str, value: str) -> bool:
    """A switch.

    Raises:
        ValueError: it is neither on nor off.
    """
    if value not in ("on", "off"):
        raise ValueError(f"parameter {name} is {value!r}: it must be on or off")
    return value == "on"


def positive(name: str, value: str) -> int:
    """A whole number from 1.

    Raises:
        ValueError: it is not one.
    """
    if not value.isdecimal() or not value.isascii() or int(value) < 1:
        raise ValueError(f"parameter {name} is {value!r}: it must be a whole number from 1")
    return int(value)

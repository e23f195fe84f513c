"""The statuses that a request may be answered with: gRPC's names, HTTP's numbers, `unreadable` and `closed`.

Where Triton itself answers with another status than INVALID_ARGUMENT or 400, that is listed here with its reason:
nothing else is accepted. INTERNAL and 500 are never: they are what a failing model gives.
"""

from __future__ import annotations

import re

Expected = frozenset[str]


def _any(*statuses: str) -> Expected:
    return frozenset(statuses)


OK = _any("OK", "200")
BAD = _any("INVALID_ARGUMENT", "400")
# JSON or a protobuf that does not parse, or not to the types wanted: Triton says 500 or INTERNAL, in these words.
UNREADABLE = "unreadable"
# The HTTP server hangs up on what is not HTTP, without an answer; so do we on a request that we cut short.
CLOSED = "closed"
NOT_JSON = _any(UNREADABLE)
# HTTP's JSON has no room for negative dimensions, and for few wrong types; gRPC's protobuf has.
BAD_OR_NOT_JSON = BAD | {UNREADABLE}
# A model, version, method or region that is not there.
UNKNOWN = _any("NOT_FOUND", "404")
NO_METHOD = _any("UNIMPLEMENTED", "404", "405")
# Shared memory, models, traces and logs are for those with the admin key (server/exposure.py).
RESTRICTED = _any("UNAVAILABLE", "403")
# A Content-Encoding that Triton has not, or a sequence's id of more than 128 letters.
UNSUPPORTED = _any("501", "UNIMPLEMENTED")
HUNG_UP = _any(CLOSED, "400")
# Bytes changed at random may still mean something, another model or method included.
ANY = OK | BAD | UNKNOWN | {UNREADABLE, "UNIMPLEMENTED"}
# Optional surfaces: whether the catalog has them is not known here.
OK_OR_BAD = OK | BAD

# A request in a hurry is refused where others wait (see the tokenizer's admission.py).
OK_OR_LATE = OK | {"UNAVAILABLE", "503"}

_UNREADABLE = re.compile(r"failed to parse the request JSON buffer|Unable to (parse|set) |failed to get request params")


def status(name: str, detail: str) -> str:
    """A status as it is expected here, from gRPC's or HTTP's and the text that came with it."""
    if name in ("500", "INTERNAL") and _UNREADABLE.search(detail) and "Traceback" not in detail:
        return UNREADABLE
    return name

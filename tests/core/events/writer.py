"""A process that appends numbered events to a log: `python -m tests.core.events.writer FOLDER INTERVAL MOST K`.

It prints a number once that was taken for so long that it must be on the disk.
"""

from __future__ import annotations

import secrets
import sys
import time
from collections import deque
from pathlib import Path

from malgil_core.events.log import Bounds, EventLog

from tests.events import search


def main(folder: Path, interval: float, most: int, k: int) -> None:
    """Append so many events, whose `k` is given."""
    log = EventLog(folder, Bounds(interval=interval), say=lambda level, sentence: print(level, sentence, flush=True))
    log.start()
    taken: deque[tuple[float, int]] = deque()
    number = 0
    while number < most:
        person = secrets.token_hex(16)  # which does not compress
        if log.append([search(search_id=f"{number:032x}", person=person, k=k).as_json()]):
            taken.append((time.monotonic(), number))
        number += 1
        while taken and taken[0][0] < time.monotonic() - interval:
            print("due", taken.popleft()[1], flush=True)
        time.sleep(0.0005)
    log.close()
    print("closed", number, flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))

"""The tokenizer of the bundled encoder, read once for all tests of texts."""

from __future__ import annotations

from pathlib import Path

import pytest
from malgil_core.text.tokenization import Tokenization


@pytest.fixture(scope="session")
def bundled(repository: Path) -> Tokenization:
    return Tokenization.load(repository / "tokenizer" / "1")

"""The learning curve reads what cards say, and nothing into the cards of others."""

from __future__ import annotations

from pathlib import Path

import pytest

from training.evaluation import card

CARD = """---
library_name: sentence-transformers
---
# bundled, fine-tuned

| rows of | number | with a hard negative |
|---|---:|---:|
| catalog, mnr | 1,200 | 300 |
| questions, mnr | 2,800 | 700 |

## Settings

```toml
steps = 50
batch_size = 40
precision = "fp32"
```
"""


def test_pairs_are_those_that_the_steps_went_through_and_never_more_than_there_are(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text(CARD, encoding="utf-8")
    assert card.read(tmp_path) == card.Trained(2000, 0.25)
    (tmp_path / "README.md").write_text(CARD.replace("steps = 50", "steps = 5000"), encoding="utf-8")
    assert card.read(tmp_path) == card.Trained(4000, 0.25)


def test_a_card_that_a_training_writes_is_understood(tmp_path: Path) -> None:
    from training import card as written
    from training.data.rows import Rows
    from training.encoder import Trained
    from training.settings import settings

    texts: list[str] = [str(i) for i in range(300)]
    rows = {"catalog, mnr": Rows({"anchor": [*texts], "positive": [*texts]}, mined=75)}
    trained = Trained("bundled", rows, [(1, 2.0), (2, 1.0)], {"same": (0.5, 0.9)}, (10, 100), 1.0, "cpu")
    for steps, pairs in ((2, 80), (20, 300)):
        written.write(tmp_path / "README.md", trained, settings({"steps": steps, "batch_size": 40}, "here"))
        assert card.read(tmp_path) == card.Trained(pairs, 0.25)


@pytest.mark.parametrize("text", ["", "# An encoder", CARD.replace("steps = 50", "steps = "), CARD.partition("```")[0]])
def test_a_card_of_another_form_says_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "README.md").write_text(text, encoding="utf-8")
    assert card.read(tmp_path) == card.Trained()
    assert card.read(tmp_path / "absent") == card.Trained()

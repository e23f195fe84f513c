"""Settings files of the encoders under evaluation: each belongs to the encoder that was exported from its directory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from export.catalog import settings
from export.catalog.settings import SettingsFile
from training.errors import TrainingError


@dataclass(frozen=True)
class Used:
    """What a report says of the settings file of an encoder.

    Attributes:
        file: its name.
        sha256: of its bytes.
        created: when it was made.
        weights: of lexical matches.
        default_threshold: for services without one in the catalog; None for none.
        thresholds: the number of services whose threshold it replaces.
    """

    file: str
    sha256: str
    created: str
    weights: Mapping[str, float]
    default_threshold: float | None
    thresholds: int

    @classmethod
    def of(cls, found: SettingsFile) -> Used:
        """What a file says."""
        calibrated, _ = found.calibrated(())
        content = found.settings
        return cls(
            found.path.name,
            found.checksum,
            content.created.isoformat(timespec="seconds"),
            asdict(calibrated.weights),
            content.default_threshold,
            len(content.thresholds),
        )

    def sentence(self) -> str:
        """For people; margin and floor stand in the table of null phrases."""
        weights = ", ".join(f"{name} {weight:g}" for name, weight in self.weights.items())
        default = "no default threshold"
        if self.default_threshold is not None:
            default = f"default threshold {self.default_threshold:.4f}"
        return (
            f"{self.file} of {self.created} (SHA-256 {self.sha256[:12]}…): weights {weights}; {default}; thresholds "
            f"of {self.thresholds} services"
        )


def of_encoders(files: Sequence[Path], fingerprints: Mapping[str, str]) -> dict[str, SettingsFile]:
    """The settings file of each encoder that has one.

    Args:
        files: settings files.
        fingerprints: encoder → fingerprint of its directory.

    Raises:
        SettingsError: a file holds a mistake.
        TrainingError: a file is of another encoder, or two are of one.
    """
    found: dict[str, SettingsFile] = {}
    for path in files:
        read = settings.read_any(path)
        made_for = read.settings.encoder.source_fingerprint
        if not made_for:
            raise TrainingError(
                f"{path}: encoder.source_fingerprint is empty, so nobody knows which directory it belongs to: export "
                "the directory as it was saved, without --adapter, and calibrate again"
            )
        names = [name for name, fingerprint in fingerprints.items() if fingerprint == made_for]
        if not names:
            others = ", ".join(f"{name} {fingerprint[:12]}…" for name, fingerprint in fingerprints.items())
            raise TrainingError(
                f"{path}: encoder.source_fingerprint is {made_for[:12]}…, that of none of the encoders ({others}): "
                "scores of two encoders differ, so export and calibrate again (`python -m export catalog calibrate`)"
            )
        for name in names:
            if name in found:
                raise TrainingError(f"{path}: {found[name].path} is of the encoder {name}, too: name one of them")
            found[name] = read
    return found

"""A bundle that answers: images as base64 or bytes to elements of /score, files to rows of a batch.

Lies in the bundle's `code/` beside `scoring/` and needs nothing but onnxruntime, numpy and pillow. Several threads may
use one model. Knows nothing about HTTP.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from scoring.batch.rows import Scorer, to_line
from scoring.bundle import LoadedBundle, load_bundle
from scoring.detector import Detector
from scoring.errors import IntegrityError
from scoring.files import sha256_of
from scoring.release import released_version
from scoring.scorer import Scored, score_image
from scoring.wire import parse_score_request, to_element, to_error_element

logger = logging.getLogger("cva")


class BundleModel:
    """What `mlflow.pyfunc` calls; also behind `score.py`. `version` is "" where no registry has given one."""

    def __init__(self, folder: Path) -> None:
        self.detector = Detector.load(_verified(folder))
        version = released_version(folder)
        self.name = self.detector.bundle.manifest.name
        self.version = "" if version is None else str(version)
        self._scorer = Scorer(self.detector, f"{self.name}:{self.version}" if self.version else self.name)

    def predict(self, model_input: Any, params: Any = None) -> list[dict[str, Any]]:
        """`model_input` is a data frame (or a mapping) with a column `image` of base64 texts.

        Raises: UsageError for what is not base64.
        """
        return self.answer(json.dumps({"data": list(model_input["image"])}))

    def answer(self, request: str | bytes) -> list[dict[str, Any]]:
        """A JSON body of /score to its answer. Raises: UsageError."""
        return self.elements([self.score(image) for image in parse_score_request(request)])

    def score(self, image: bytes, threshold: float | None = None) -> Scored:
        return score_image(self.detector, image, score_threshold=threshold)

    def elements(self, scored: Sequence[Scored]) -> list[dict[str, Any]]:
        """One element an image, same order; a bad image keeps its place and says why."""
        return [self._element(f"image_{number}", each) for number, each in enumerate(scored)]

    def rows(self, files: Sequence[str]) -> list[str]:
        """A row for each file that could be scored; the others are logged and missing, as Azure counts failures."""
        return [text for text in map(self._line, files) if text]

    def _line(self, file: str) -> str:
        row, _ = self._scorer.row(Path(file).as_posix(), file)
        if row["error"] is None:
            return to_line(row).decode().rstrip("\n")
        logger.warning("%s was not scored: %s: %s", file, row["error"]["code"], row["error"]["message"])
        return ""

    def _element(self, name: str, scored: Scored) -> dict[str, Any]:
        if scored.error is not None:
            return to_error_element(name, scored.error)
        assert scored.found is not None
        return to_element(name, scored.found, self.detector.labels)


def _verified(folder: Path) -> LoadedBundle:
    """Listed files must be unchanged; others may lie beside them, such as a registry's own notes."""
    loaded = load_bundle(folder, verify=False)
    for entry in loaded.manifest.files:
        file = folder / entry.path
        if not file.is_file() or sha256_of(file) != entry.sha256:
            raise IntegrityError(f"{entry.path} of {folder} differs from the manifest", hint="fetch the model again")
    return loaded

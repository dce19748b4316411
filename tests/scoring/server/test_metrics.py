"""Whatever is noted is counted, by the time that somebody looks and however much it is."""

from __future__ import annotations

import pytest

from scoring.detections import Detections
from scoring.errors import ImageError
from scoring.scorer import Scored
from scoring.server.metrics import NOTED, Metrics
from scoring.server.service import Answered, ServedModel

MODEL = ServedModel("Caps", "1", None, "", "")  # type: ignore[arg-type]


@pytest.mark.parametrize("count", [1, NOTED - 1, NOTED, 2 * NOTED + 3])
def test_requests_are_all_there_and_noted_for_a_while_only(count: int) -> None:
    metrics = Metrics()
    for _ in range(count):
        metrics.request("/score", "POST", 200, 0.02)
    assert len(metrics._noted) < NOTED
    lines = metrics.text().decode().splitlines()
    assert f'cva_requests_total{{method="POST",route="/score",status="200"}} {count:.1f}' in lines
    assert f'cva_request_seconds_bucket{{le="0.025",route="/score"}} {count:.1f}' in lines
    assert metrics.text().decode().splitlines().count(f'cva_request_seconds_count{{route="/score"}} {count:.1f}') == 1


def test_images_are_counted_by_what_became_of_them() -> None:
    metrics = Metrics()
    scored, bad = Scored(Detections.none()), Scored(None, ImageError("no picture", code="not_an_image"))
    metrics.answered(Answered(MODEL, [scored, bad, scored, None, None, None], 1.0, 30.0, 300.0))
    text = metrics.text().decode()
    assert 'cva_images_total{outcome="scored"} 2.0' in text
    assert 'cva_images_total{outcome="refused"} 1.0' in text
    assert 'cva_images_total{outcome="late"} 3.0' in text
    assert 'cva_score_seconds_sum{part="decode"} 0.03' in text and 'cva_score_seconds_sum{part="infer"} 0.3' in text

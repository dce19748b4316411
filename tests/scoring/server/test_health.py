"""Liveness, readiness, metadata and the numbers for Prometheus."""

from __future__ import annotations

from collections.abc import Callable

from tests.scoring.server.running import Answer, Running

Serve = Callable[..., Running]
Png = Callable[..., bytes]


def number(answer: Answer, sample: str) -> float:
    """The value of one line of /metrics."""
    lines = answer.body.decode().splitlines()
    [value] = [line.rpartition(" ")[2] for line in lines if line.startswith(f"{sample} ")]
    return float(value)


def test_the_root_says_healthy(serve: Serve) -> None:
    answer = serve().get("/")
    assert (answer.status, answer.body) == (200, b"Healthy")
    assert answer.headers["content-type"].startswith("text/plain")


def test_ready_means_that_a_model_is_loaded(serve: Serve) -> None:
    server = serve()
    for path in ("/health/ready", "/api/healthcheck"):
        assert server.get(path).json == {"status": "ready", "model": "Caps", "version": "1"}
    server.context.service.not_ready("the disk is full")
    for path in ("/health/ready", "/api/healthcheck"):
        answer = server.get(path)
        assert (answer.status, answer.json["reason"], answer.headers["retry-after"]) == (503, "the disk is full", "2")
    assert server.get("/health/live").status == 200


def test_without_a_model_scoring_and_metadata_are_503(serve: Serve, png: Png) -> None:
    server = serve(model=None)
    for answer in (server.get("/metadata"), server.post("/score", png())):
        assert (answer.status, answer.json["error"]["code"]) == (503, "not_ready")
        assert answer.json["error"]["message"] == "no model is loaded yet"
        assert int(answer.headers["retry-after"]) >= 1


def test_metadata_tells_what_is_served_and_the_limits(serve: Serve) -> None:
    facts = serve(max_images=7).get("/metadata").json
    assert (facts["name"], facts["version"], facts["manifest_sha256"]) == ("Caps", "1", "0" * 64)
    assert facts["labels"] == ["blue cap", "green, cap", "red-cap"]
    assert facts["thresholds"] == {"score": 0.3, "iou": 0.5}
    assert facts["metrics"]["mean_average_precision"] == 0.5
    assert facts["limits"]["max_images"] == 7
    assert facts["limits"]["max_image_pixels"] == 40_000_000


def test_the_numbers_count_what_happened(serve: Serve, png: Png) -> None:
    server = serve()
    assert server.post("/score", png()).status == 200
    assert server.post("/score", b"no image").status == 400
    assert server.get("/no/such/path").status == 404
    answer = server.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=")
    assert number(answer, 'cva_requests_total{method="POST",route="/score",status="200"}') == 1
    assert number(answer, 'cva_requests_total{method="POST",route="/score",status="400"}') == 1
    assert number(answer, 'cva_requests_total{method="GET",route="other",status="404"}') == 1
    assert number(answer, 'cva_request_seconds_count{route="/score"}') == 2
    for part in ("queue", "decode", "infer"):
        assert number(answer, f'cva_score_seconds_count{{part="{part}"}}') == 2
    assert number(answer, 'cva_images_total{outcome="scored"}') == 1
    assert number(answer, 'cva_images_total{outcome="refused"}') == 1
    assert (number(answer, "cva_in_flight"), number(answer, "cva_queue_length"), number(answer, "cva_ready")) == (
        0,
        0,
        1,
    )
    assert number(answer, f'cva_model_info{{manifest_sha256="{"0" * 64}",name="Caps",version="1"}}') == 1


def test_strangers_cannot_make_new_names_of_numbers(serve: Serve) -> None:
    server = serve()
    for at in range(5):
        server.get(f"/made/up/{at}")
    lines = [
        each for each in server.get("/metrics").body.decode().splitlines() if each.startswith("cva_requests_total")
    ]
    assert lines == ['cva_requests_total{method="GET",route="other",status="404"} 5.0']


def test_two_applications_count_on_their_own(serve: Serve, png: Png) -> None:
    one, other = serve(), serve()
    one.post("/score", png())
    assert b'route="/score"' in one.get("/metrics").body
    assert b'route="/score"' not in other.get("/metrics").body

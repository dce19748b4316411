"""The entry script for azureml-inference-server-http: raw HTTP in, the shared scoring function, JSON text out."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from azureml_inference_server_http.api.aml_request import AMLRequest, rawhttp
from azureml_inference_server_http.api.aml_response import AMLResponse

from scoring.detector import Detector
from scoring.scorer import score_image
from scoring.wire import parse_score_request, to_element

detector: Detector


def init() -> None:
    global detector
    detector = Detector.load(Path(os.environ["CVA_BENCH_FOLDER"]) / "bundle", threads=1)


@rawhttp
def run(request: AMLRequest) -> Any:
    body = request.get_data(cache=False)
    images = parse_score_request(body) if request.content_type == "application/json" else [body]
    found = [score_image(detector, image).found for image in images]
    elements = [to_element(f"image_{at}", each, detector.labels) for at, each in enumerate(found) if each is not None]
    return AMLResponse(json.dumps(elements).encode(), 200, {"Content-Type": "application/json"}, json_str=False)

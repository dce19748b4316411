"""The same scoring function behind LitServe. `python -m benchmarks.serving.entry_litserve PORT WORKERS`

FastAPI gives the body as it is: a JSON value, or bytes for any other type. The answer is made into text in the worker
and handed on as a Response, which spares FastAPI's slow walk through it.
"""

from __future__ import annotations

import base64
import json
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import litserve
from fastapi import Body, Response

from scoring.detector import Detector
from scoring.scorer import score_image
from scoring.wire import to_element


class Api(litserve.LitAPI):
    def setup(self, device: str) -> None:
        self.detector = Detector.load(Path(os.environ["CVA_BENCH_FOLDER"]) / "bundle", threads=1)

    def decode_request(self, request):  # type: ignore[no-untyped-def]
        if isinstance(request, bytes):
            return [request]
        return [base64.b64decode(item, validate=True) for item in request["input_data"]["data"]]

    def predict(self, images: list[bytes]) -> list[dict[str, Any]]:
        found = [score_image(self.detector, image).found for image in images]
        labels = self.detector.labels
        return [to_element(f"image_{at}", each, labels) for at, each in enumerate(found) if each is not None]

    def encode_response(self, output):  # type: ignore[no-untyped-def]
        return Response(json.dumps(output).encode(), media_type="application/json")


# LitServe reads these itself, and not as text.
Api.decode_request.__annotations__["request"] = Annotated[Any, Body()]
Api.encode_response.__annotations__["return"] = Response

if __name__ == "__main__":
    server = litserve.LitServer(Api(api_path="/score"), accelerator="cpu", workers_per_device=int(sys.argv[2]))
    server.run(host="127.0.0.1", port=int(sys.argv[1]), log_level="warning", generate_client_file=False)

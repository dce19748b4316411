"""One module for each kind of graph that a manifest may name (`postprocess.kind`): how it is fed and read.

Boxes leave here in pixels of the graph's input; where they lie in the image is not known here.
"""

from __future__ import annotations

from scoring.graphs.automl_fasterrcnn import AutomlFasterRcnn
from scoring.graphs.automl_retinanet import AutomlRetinanet
from scoring.graphs.automl_yolov5 import AutomlYolov5
from scoring.graphs.base import Found, Graph
from scoring.graphs.cva import Cva
from scoring.manifest import Manifest
from scoring.session import Session

__all__ = ["KINDS", "Found", "Graph", "open_graph"]

KINDS: dict[str, type[Graph]] = {
    "cva": Cva,
    "automl_yolov5": AutomlYolov5,
    "automl_fasterrcnn": AutomlFasterRcnn,
    "automl_retinanet": AutomlRetinanet,
}


def open_graph(session: Session, manifest: Manifest) -> Graph:
    """Raises: IncompatibleError where the graph is not of the kind that the manifest says."""
    return KINDS[manifest.postprocess.kind](session, manifest)

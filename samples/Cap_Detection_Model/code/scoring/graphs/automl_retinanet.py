"""Azure AutoML's RetinaNet as the service leaves it: boxes, scores, labels; no background among the labels.

Preprocessing as documented: stretched to the graph's fixed size, ImageNet's mean and deviation.
"""

from __future__ import annotations

from scoring.graphs.three import ThreeOutputs


class AutomlRetinanet(ThreeOutputs):
    order = ("boxes", "scores", "labels")
    first_label = 0

"""Azure AutoML's Faster R-CNN as the service leaves it: boxes, labels, scores; label 0 is background.

Its `labels.json` begins with "--bg--"; a manifest's labels do not, so the graph's label 1 is the manifest's first.
Preprocessing as documented: stretched to the graph's fixed size, ImageNet's mean and deviation.
"""

from __future__ import annotations

from scoring.graphs.three import ThreeOutputs


class AutomlFasterRcnn(ThreeOutputs):
    order = ("boxes", "labels", "scores")
    first_label = 1

"""The end of the exported graph: per-label suppression of overlapping boxes and the best K, for every image of a batch.

Written in ONNX's own text form. All images and labels go through one operator; the survivors are put back into a dense
table, so that the choice of the best K needs no loop over the batch. Knows nothing about PyTorch or files.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onnx import ModelProto

OPSET = 18

_GRAPH = """
<ir_version: {ir_version}, opset_import: ["" : {opset}]>
detector (float[N,{anchors},4] every_box, float[N,{anchors},{classes}] every_score, float score_threshold)
    => (float[N,{best},4] boxes, float[N,{best}] scores, int64[N,{best}] labels, int64[N] num)
<float overlap = {{{iou}}}, int64[1] best = {{{best}}},
 int64 anchors = {{{anchors}}}, int64[2] one_row = {{0, -1}}, int64[1] last = {{-1}}, int64[1] row = {{1}},
 float zero = {{0.0}}, int64 nobody = {{-1}}>
{{
    by_label = Transpose<perm = [0, 2, 1]>(every_score)
    chosen = NonMaxSuppression(every_box, by_label, best, overlap, score_threshold)
    chosen_score = GatherND(by_label, chosen)
    all_places = Shape(by_label)
    empty = ConstantOfShape(all_places)
    table = ScatterND(empty, chosen, chosen_score)
    flat = Reshape(table, one_row)
    scores, place = TopK<axis = 1>(flat, best)
    label = Div(place, anchors)
    anchor = Mod(place, anchors)
    anchor_index = Unsqueeze(anchor, last)
    box = GatherND<batch_dims = 1>(every_box, anchor_index)
    found = Greater(scores, zero)
    found_box = Unsqueeze(found, last)
    boxes = Where(found_box, box, zero)
    labels = Where(found, label, nobody)
    found_number = Cast<to = 7>(found)
    num = ReduceSum<keepdims = 0>(found_number, row)
}}
"""


def with_suppression(raw: ModelProto, *, anchors: int, classes: int, iou: float, max_boxes: int) -> ModelProto:
    """The detector's graph with suppression behind it.

    Inputs `images` and `score_threshold` (a scalar: boxes must score more than it); outputs `boxes` (N, K, 4) in input
    pixels, `scores` (N, K), `labels` (N, K) and `num` (N). Beyond an image's `num` boxes and scores are 0, labels -1.
    """
    from onnx import checker, compose, parser

    text = _GRAPH.format(
        ir_version=raw.ir_version,
        opset=OPSET,
        anchors=anchors,
        classes=classes,
        best=min(max_boxes, anchors * classes),
        iou=iou,
    )
    network = compose.add_prefix(raw, "net/", rename_inputs=False)
    boxes, scores = (output.name for output in network.graph.output)
    merged = compose.merge_models(
        network, parser.parse_model(text), io_map=[(boxes, "every_box"), (scores, "every_score")]
    )
    del merged.opset_import[1:]  # it lists the same one twice
    checker.check_model(merged, full_check=True)
    return merged

"""Every hyperparameter of an AutoML image job: kind, range, aliases, owners, Azure's default. A table, no files.

`honoured` means that the training of this project obeys it today; any other is refused by name for a local run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

RESNETS = [f"resnet{depth}" for depth in (18, 34, 50, 101, 152)]
VITS = ["vitb16r224", "vits16r224", "vitl16r224"]
CLASSIFIERS = [*VITS, "mobilenetv2", *RESNETS, "resnest50", "resnest101", "seresnext"]
RCNN = [f"fasterrcnn_resnet{depth}_fpn" for depth in (18, 34, 50, 101, 152)]
MASK = [f"maskrcnn_resnet{depth}_fpn" for depth in (18, 34, 50, 101, 152)]

# task -> the algorithms Azure ML knows, its default first
ALGORITHMS: Mapping[str, tuple[str, ...]] = {
    "image_classification": tuple(CLASSIFIERS),
    "image_classification_multilabel": tuple(CLASSIFIERS),
    "image_object_detection": ("yolov5", *RCNN, "retinanet_resnet50_fpn"),
    "image_instance_segmentation": ("maskrcnn_resnet50_fpn", *(name for name in MASK if "50" not in name)),
}
AVAILABLE = ("yolov5",)  # what this workspace trains itself

FAMILY: Mapping[str, str] = {
    **dict.fromkeys(CLASSIFIERS, "classifier"),
    **dict.fromkeys(RCNN, "rcnn"),
    **dict.fromkeys(MASK, "mask"),
    "retinanet_resnet50_fpn": "retinanet",
    "yolov5": "yolov5",
}
ALL = frozenset(FAMILY.values())
BOXES = ALL - {"classifier"}  # detection and segmentation
TORCHVISION = frozenset({"rcnn", "retinanet", "mask"})


@dataclass(frozen=True)
class Hyperparameter:
    """`low` and `high` are inclusive unless open; not `searchable` is what Azure takes in training_parameters alone."""

    name: str
    kind: str  # int | float | bool | enum | text
    low: float | None = None
    high: float | None = None
    low_open: bool = False
    high_open: bool = False
    values: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    families: frozenset[str] = ALL
    default: Any = None  # Azure's, None where it has none
    defaults: Mapping[str, Any] = field(default_factory=dict)  # where a family differs
    honoured: bool = False
    searchable: bool = True
    multiple_of: int = 1  # for the embedded detector

    @property
    def range_text(self) -> str:
        """The range in words, as errors and the documentation print it."""
        if self.kind == "bool":
            return "true or false"
        if self.kind == "enum":
            return "one of " + ", ".join(self.values)
        if self.kind == "text":
            return "a text"
        noun = "a whole number" if self.kind == "int" else "a number"
        if self.low is None:
            return noun
        if self.high is None:
            bound = f"greater than {self.low:g}" if self.low_open else f"of at least {self.low:g}"
            return f"{noun} {bound}{self._step}"
        opening, closing = "(" if self.low_open else "[", ")" if self.high_open else "]"
        return f"{noun} in {opening}{self.low:g}, {self.high:g}{closing}{self._step}"

    @property
    def _step(self) -> str:
        return f", a multiple of {self.multiple_of}" if self.multiple_of > 1 else ""

    def contains(self, value: Any, *, local: bool = True) -> bool:
        """Whether a value of the right kind lies in the range; `local` adds what the embedded detector asks for."""
        if self.kind in ("bool", "text"):
            return True
        if self.kind == "enum":
            return value in self.values
        above = self.low is None or (value > self.low if self.low_open else value >= self.low)
        below = self.high is None or (value < self.high if self.high_open else value <= self.high)
        return bool(above and below and (not local or value % self.multiple_of == 0 or self.kind == "float"))

    def azure_default(self, family: str) -> Any:
        return self.defaults.get(family, self.default)


def _count(name: str, default: Any = None, **more: Any) -> Hyperparameter:
    return Hyperparameter(name, "int", low=0, low_open=True, default=default, **more)


def _from_zero(name: str, default: Any = None, **more: Any) -> Hyperparameter:
    return Hyperparameter(name, "int", low=0, default=default, **more)


def _fraction(name: str, default: Any = None, **more: Any) -> Hyperparameter:
    return Hyperparameter(name, "float", low=0, high=1, default=default, **more)


def _switch(name: str, default: Any = None, **more: Any) -> Hyperparameter:
    return Hyperparameter(name, "bool", default=default, **more)


def _one_of(name: str, values: str, default: Any = None, **more: Any) -> Hyperparameter:
    return Hyperparameter(name, "enum", values=tuple(values.split()), default=default, **more)


def _text(name: str, **more: Any) -> Hyperparameter:
    return Hyperparameter(name, "text", **more)


_YOLO = frozenset({"yolov5"})
_CLASSIFIER = frozenset({"classifier"})
_TILED = frozenset({"yolov5", "rcnn", "retinanet"})

_TABLE = (
    # the run
    _count("number_of_epochs", 15, defaults={"yolov5": 30}, honoured=True),
    _count("training_batch_size", 2, defaults={"yolov5": 16, "classifier": 78}, honoured=True),
    _count("validation_batch_size", 1, defaults={"yolov5": 16, "classifier": 78}, honoured=True),
    _count("gradient_accumulation_step", 1),
    _switch("early_stopping", True, honoured=True),
    _count("early_stopping_patience", 5, honoured=True),
    _from_zero("early_stopping_delay", 5, honoured=True),
    _count("evaluation_frequency", 1, honoured=True),
    _count("checkpoint_frequency", searchable=False),
    _text("checkpoint_run_id", searchable=False),
    _from_zero("random_seed", honoured=True),
    _from_zero("layers_to_freeze", honoured=True),
    _switch("distributed", True),
    _from_zero("number_of_workers"),
    # the optimiser
    _fraction("learning_rate", 0.005, defaults={"yolov5": 0.01, "classifier": 0.01}, honoured=True),
    _one_of(
        "learning_rate_scheduler", "warmup_cosine step none", "warmup_cosine", aliases=("lr_scheduler",), honoured=True
    ),
    _fraction("step_lr_gamma", 0.5, honoured=True),
    _count("step_lr_step_size", 5, honoured=True),
    _fraction("warmup_cosine_lr_cycles", 0.45, honoured=True),
    _from_zero("warmup_cosine_lr_warmup_epochs", 2, honoured=True),
    _one_of("optimizer", "sgd adam adamw", "sgd", honoured=True),
    _fraction("momentum", 0.9, honoured=True),
    _fraction("weight_decay", 1e-4, honoured=True),
    _switch("nesterov", True, honoured=True),
    _fraction("beta1", 0.9, high_open=True, honoured=True),
    _fraction("beta2", 0.999, high_open=True, honoured=True),
    _switch("ams_gradient", False, aliases=("amsgrad",), honoured=True),
    # images and boxes
    _text("augmentations"),
    _text("advanced_settings", searchable=False),
    _switch("enable_onnx_normalization"),
    Hyperparameter(
        "image_size",
        "int",
        low=32,
        high=4096,
        multiple_of=32,
        default=640,
        aliases=("img_size",),
        families=_YOLO,
        honoured=True,
    ),
    _one_of("model_size", "small medium large extra_large", "medium", families=_YOLO, honoured=True),
    _switch("multi_scale", False, families=_YOLO, honoured=True),
    _fraction(
        "box_score_threshold",
        0.3,
        defaults={"yolov5": 0.1},
        aliases=("box_score_thresh",),
        families=BOXES,
        honoured=True,
    ),
    _fraction("nms_iou_threshold", 0.5, aliases=("box_nms_thresh", "box_iou_thresh"), families=BOXES, honoured=True),
    _count("box_detections_per_image", 100, aliases=("box_detections_per_img",), families=BOXES, honoured=True),
    _count("min_size", 600, families=TORCHVISION),
    _count("max_size", 1333, families=TORCHVISION),
    _text("tile_grid_size", families=_TILED),
    Hyperparameter("tile_overlap_ratio", "float", low=0, high=1, high_open=True, default=0.25, families=_TILED),
    _fraction("tile_predictions_nms_threshold", 0.25, families=_TILED),
    _one_of("validation_metric_type", "none coco voc coco_voc", "voc", families=BOXES),
    _fraction("validation_iou_threshold", 0.5, families=BOXES),
    _one_of("log_training_metrics", "enable disable", "disable", families=BOXES, searchable=False),
    _one_of("log_validation_loss", "enable disable", "enable", families=BOXES, searchable=False),
    # classification
    Hyperparameter("weighted_loss", "int", low=0, high=2, default=0, families=_CLASSIFIER),
    _count("validation_resize_size", 256, aliases=("resize_size",), families=_CLASSIFIER),
    _count("validation_crop_size", 224, families=_CLASSIFIER),
    _count("training_crop_size", 224, aliases=("crop_size",), families=_CLASSIFIER),
)

HYPERPARAMETERS: Mapping[str, Hyperparameter] = {entry.name: entry for entry in _TABLE}
ALIASES: Mapping[str, str] = {alias: entry.name for entry in _TABLE for alias in entry.aliases}


def azure_defaults(algorithm: str) -> dict[str, Any]:
    """The defaults of Azure ML for the keys that are honoured here and belong to the algorithm."""
    family = FAMILY[algorithm]
    return {
        entry.name: entry.azure_default(family)
        for entry in _TABLE
        if entry.honoured and family in entry.families and entry.azure_default(family) is not None
    }

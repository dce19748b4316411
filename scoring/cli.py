"""`cva score`: image files, folders and patterns to boxes, with annotated pictures. Parses and prints, nothing else."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from scoring.errors import UsageError

if TYPE_CHECKING:
    from scoring.bundle import LoadedBundle
    from scoring.detector import Detector
    from scoring.predict import Prediction


class Printer(Protocol):
    def say(self, text: str = "") -> None: ...


@dataclass(frozen=True)
class Model:
    """The bundle that a person named. `version` is None for a folder that does not say."""

    bundle: LoadedBundle
    name: str
    version: int | None
    title: str  # as it is spoken of

    @property
    def reference(self) -> str:
        return self.name if self.version is None else f"{self.name}:{self.version}"


def parser() -> argparse.ArgumentParser:
    result = argparse.ArgumentParser(
        prog="cva score",
        description="Find objects in images with a registered model. The last line of stdout is a JSON array in the"
        " /score shape, one element an image in the order given; a bad image keeps its place with an error (exit 1).",
    )
    result.add_argument("images", nargs="+", metavar="IMAGE", help="image files, folders (searched deeply) or patterns")
    add_model(result)
    result.add_argument("--threshold", type=fraction, metavar="T", help="lowest score (default: the model's own)")
    result.add_argument("--out", type=Path, metavar="DIR", help="write annotated pictures and predictions.json there")
    add_runtime(result)
    result.set_defaults(run=run, long=True)
    return result


def run(args: argparse.Namespace, out: Printer) -> Sequence[dict[str, Any]]:
    """Score and report; sets `args.exit_code` to 1 if any image failed."""
    from scoring.batch.inputs import expand
    from scoring.detector import Detector

    paths = [Path(item.path) for item in expand(args.images, skip=args.out)]
    if args.out is not None:
        _make_folder(args.out)
    model = open_model(args)
    detector = Detector.load(model.bundle, threads=args.threads, provider=args.provider)
    out.say(f"{model.title}: {len(paths)} image{'s' if len(paths) != 1 else ''}")
    started = time.perf_counter()
    elements = list(_score(detector, paths, args, out))
    if args.out is not None:
        from scoring.files import write_json

        write_json(args.out / "predictions.json", elements)
        out.say(f"annotated pictures and predictions.json are in {args.out}")
    failed = sum("error" in element for element in elements)
    boxes = sum(len(element["boxes"]) for element in elements)
    out.say(f"{boxes} objects, {failed} images failed, {time.perf_counter() - started:.2f} s")
    args.exit_code = 1 if failed else 0
    return elements


def add_model(parser: argparse.ArgumentParser) -> None:
    """The two ways to name a model."""
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument(
        "--model", metavar="NAME[:VERSION|@champion|@latest]", help="a registered model of the workspace"
    )
    which.add_argument("--bundle", type=Path, metavar="DIR", help="a model's folder, for example DEST/NAME/current")
    parser.add_argument(
        "--trusted-keys",
        type=Path,
        metavar="FILE",
        help="open --bundle only if one of these keys signed it (default: CVA_TRUSTED_KEYS, else the store's)",
    )


def add_runtime(parser: argparse.ArgumentParser) -> None:
    """What the model runs on."""
    parser.add_argument("--threads", type=positive, default=1, metavar="N", help="of the runtime for each image")
    parser.add_argument("--provider", default="cpu", help="cpu, cuda, tensorrt or openvino, as onnxruntime has it")


def open_model(args: argparse.Namespace) -> Model:
    """The verified bundle of `--model` or `--bundle`; of a folder, where keys are pinned, only what one of them signed.

    Raises: NotFoundError, IntegrityError, IncompatibleError.
    """
    from scoring.bundle import load_bundle
    from scoring.edge.registry import LocalRegistry, parse_reference
    from scoring.edge.trust import pinned_release
    from scoring.release import released_version

    if args.bundle is not None:
        folder = args.bundle.resolve()  # `current` may lead elsewhere in a moment
        loaded = load_bundle(folder, manifest_sha256=pinned_release(folder, args.trusted_keys))
        name, version = loaded.manifest.name, released_version(folder)
        return Model(loaded, name, version, f"{name} ({args.bundle})")
    if args.trusted_keys is not None:
        raise UsageError("--trusted-keys is for --bundle", hint="a workspace's own models are not signed")
    name, word = parse_reference(args.model)
    registry = LocalRegistry.of()
    exact = registry.resolve(name, word)
    loaded = load_bundle(registry.folder(name, exact.version), manifest_sha256=exact.manifest_sha256)
    return Model(loaded, name, exact.version, f"{name}:{exact.version}")


def _score(
    detector: Detector, paths: Sequence[Path], args: argparse.Namespace, out: Printer
) -> Iterator[dict[str, Any]]:
    from scoring.predict import score_files

    taken = {path.resolve() for path in paths}
    for prediction in score_files(detector, paths, score_threshold=args.threshold):
        out.say(f"  {_line(prediction)}")
        if args.out is not None:
            _draw(prediction, detector, args.out, taken)
        yield prediction.element


def _draw(prediction: Prediction, detector: Detector, folder: Path, taken: set[Path]) -> None:
    from scoring.draw import annotate, save_annotated
    from scoring.images import open_image

    if prediction.found is not None:
        picture = annotate(open_image(prediction.path), prediction.found, detector.labels)
        save_annotated(picture, prediction.path, folder, taken)


def _line(prediction: Prediction) -> str:
    if prediction.found is None:
        error = prediction.element["error"]
        return f"{prediction.path}  {error['code']}: {error['message']}"
    words = [f"{box['label']} {box['score']:.2f}" for box in prediction.element["boxes"]]
    return f"{prediction.path}  {', '.join(words) or 'nothing'}"


def _make_folder(path: Path) -> None:
    if path.exists() and not path.is_dir():
        raise UsageError(f"expected a folder for --out, found a file: {path}", hint="give a folder")
    path.mkdir(parents=True, exist_ok=True)


def fraction(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"expected a number from 0 to 1, found {text}")
    return value


def positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number of 1 or more, found {text}")
    return value

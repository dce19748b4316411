"""`cva model …`: parses and prints. Listing and showing read plain files; MLflow is not imported for them."""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING, Any

from model_training.cli.model_deploy import add_deploy, add_undeploy
from model_training.cli.output import Output, shown
from scoring.edge.cli_registry import REFERENCE, add_publish, add_pull
from scoring.edge.registry import AZURE
from scoring.errors import UsageError

if TYPE_CHECKING:
    from model_training.workspaces.azureml.registry import AzureRegistry
    from model_training.workspaces.base import Model
    from scoring.edge.registry import LocalRegistry, Registry


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="cva model", description="registered models: versions, champion, files")
    verbs = top.add_subparsers(metavar="VERB")
    listing = verbs.add_parser("list", help="every version")
    listing.add_argument("name", nargs="?")
    listing.set_defaults(run=list_models)
    show = verbs.add_parser("show", help="the card of one version; its files are verified")
    show.add_argument("model", help=REFERENCE)
    show.add_argument("--files", action="store_true", help="every file with its size and hash")
    show.set_defaults(run=show_model)
    promote = verbs.add_parser("promote", help="make a version the champion")
    promote.add_argument("model", help="NAME:VERSION")
    promote.set_defaults(run=promote_model)
    add_pull(verbs, _open_registry)
    add_publish(verbs, _source)
    add_deploy(verbs)
    add_undeploy(verbs)
    return top


def list_models(args: argparse.Namespace, out: Output) -> list[dict[str, Any]]:
    from model_training.workspaces.open import open_workspace

    models = open_workspace().models.list(args.name)
    if not models:
        out.say("no model yet; train one: cva endpoint submit --dataset-name NAME --model-name NAME")
    else:
        header = ["model", "version", "", "mAP", "precision", "recall", "dataset", "registered"]
        out.table(header, [_row(model) for model in models])
    return [_listed(model) for model in models]


def show_model(args: argparse.Namespace, out: Output) -> dict[str, Any]:
    from model_training.workspaces.open import open_workspace

    models = open_workspace().models
    model = models.get(args.model)
    lineage = models.lineage(model)
    seen = len(models.trained_on(model))
    say_card(model, lineage, seen, out)
    if args.files:
        out.table(["file", "bytes", "sha256"], [[f["path"], f["bytes"], f["sha256"]] for f in model.manifest["files"]])
    facts = {key: value for key, value in lineage.items() if key != "trained_on"}
    value = {**_listed(model), "tags": dict(model.tags), "metrics": model.manifest.get("metrics", {})}
    return value | {"manifest": model.manifest, "lineage": {**facts, "images_seen": seen}}


def promote_model(args: argparse.Namespace, out: Output) -> dict[str, Any]:
    from model_training.workspaces.open import open_workspace

    models = open_workspace().models
    name, colon, _ = args.model.partition(":")
    if not colon:
        raise UsageError(f"expected NAME:VERSION, found {args.model!r}", hint=f"see `cva model list {name}`")
    target = models.get(args.model)
    before = models.champion(name)
    if not target.champion:
        target = models.promote(name, target.version)
    out.say(f"{target.reference} is the champion (before: {before.reference if before else 'none'})")
    return {**_listed(target), "before": before.version if before else None}


def _open_registry(text: str | None) -> Registry:
    """What devices may name, and `azureml`."""
    from model_training.workspaces.open import is_azure
    from scoring.edge.registries import REGISTRY, open_registry

    if text == AZURE or (text is None and is_azure() and not os.environ.get(REGISTRY)):
        return _azure_registry()
    return open_registry(text)


def _source(name: str, version: str) -> LocalRegistry:
    from model_training.workspaces.open import is_azure
    from scoring.edge.registry import LocalRegistry

    return _azure_registry().fetched(name, version) if is_azure() else LocalRegistry.of()


def _azure_registry() -> AzureRegistry:
    from model_training.settings import load_settings
    from model_training.workspaces.azureml.registry import AzureRegistry
    from model_training.workspaces.open import open_azure

    return AzureRegistry(open_azure(load_settings()))


def _row(model: Model) -> list[object]:
    tags = model.tags
    numbers = [_number(tags.get(name)) for name in ("Mean Average Precision", "Precision", "Recall")]
    dataset = f"{tags.get('dataset_name', '?')}:{tags.get('dataset_version', '?')}"
    champion = "champion" if model.champion else ""
    return [model.name, model.version, champion, *numbers, dataset, model.created_at[:19]]


def _listed(model: Model) -> dict[str, Any]:
    numbers = {name: _number(model.tags.get(name)) for name in ("Mean Average Precision", "Precision", "Recall")}
    return {
        "model": model.name,
        "version": model.version,
        "champion": model.champion,
        "metrics": {name.lower().replace(" ", "_"): value for name, value in numbers.items()},
        "created_at": model.created_at,
        "paths": {"model": str(model.path)},
    }


def _number(text: str | None) -> float | None:
    return float(text) if text else None


def say_card(model: Model, lineage: dict[str, Any], seen: int, out: Output) -> None:
    from model_training.cli.endpoint_submit import metrics_text

    manifest, tags = model.manifest, model.tags
    metrics = manifest.get("metrics", {})
    out.say(f"{model.reference}{'  (champion)' if model.champion else ''}   registered {model.created_at[:19]}Z")
    out.say(f"  finds      {', '.join(manifest['labels'])}")
    out.say(f"  measured   {metrics_text(metrics)}")
    out.say(f"  threshold  {manifest['postprocess']['score_threshold']}")
    size = "x".join(map(str, manifest["preprocess"]["size"]))
    out.say(f"  made by    {manifest.get('implementation', manifest.get('algorithm'))}, {size} pixels")
    out.say(f"  trained on {tags.get('dataset_name', '?')}:{tags.get('dataset_version', '?')} ({seen} images seen)")
    out.say(f"  run        {tags.get('run_id', '?')}, commit {lineage.get('git_commit') or 'none'}")
    out.say(f"  gate       {tags.get('gate_reason', '')}")
    out.say(f"  files      {len(manifest['files'])}, all verified, in {shown(model.path)}")
    per_label = metrics.get("per_label") or {}
    if per_label:
        keys = ("average_precision", "precision", "recall")
        out.table(["label", *keys], [[name, *(values.get(k) for k in keys)] for name, values in per_label.items()])

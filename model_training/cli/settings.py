"""`cva settings …`: the one file of settings as it is understood, as Bicep takes it, and changed. Parses and prints."""

from __future__ import annotations

import argparse
import re
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from model_training.cli.output import Output
from scoring.errors import NotFoundError, UsageError

if TYPE_CHECKING:
    from model_training.settings import Settings

SCHEMA = "https://schema.management.azure.com/schemas/2019-04-01/deploymentParameters.json#"
BICEP = Path("infrastructure") / "main.bicep"


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="cva settings", description="variable_template.yml: names, values, rules")
    verbs = top.add_subparsers(metavar="VERB")
    show = verbs.add_parser("show", help="every setting with its value; a wrong one is named")
    show.add_argument("name", nargs="?", help="one of them: prints its value alone")
    show.add_argument("--file", type=Path, help="(default: the nearest variable_template.yml)")
    show.add_argument("--for", dest="target", choices=("people", "bicep"), default="people", help="a parameter file")
    show.set_defaults(run=show_settings)
    change = verbs.add_parser("set", help="write values into the file; a wrong one is named, and nothing written")
    change.add_argument("values", nargs="+", metavar="NAME=VALUE", help="comments and all else stay as they are")
    change.add_argument("--file", type=Path, help="(default: the nearest variable_template.yml)")
    change.set_defaults(run=set_settings)
    return top


def show_settings(args: argparse.Namespace, out: Output) -> dict[str, Any] | None:
    from model_training.settings import load_settings

    settings = load_settings(args.file)
    values = {each.name.upper(): getattr(settings, each.name) for each in fields(settings)}
    source = values.pop("SOURCE")
    if args.target == "bicep":
        out.json(bicep_parameters(settings))
        return None
    if args.name:
        if args.name not in values:
            raise NotFoundError(f"'{args.name}' is not a setting", hint=f"there are: {', '.join(values)}")
        out.say(str(values[args.name]))
        return {args.name: values[args.name]} if out.json_only else None
    out.say(f"settings of {source or 'nowhere: these are the defaults'}")
    out.table(["setting", "value"], [[name, value] for name, value in values.items() if value not in ("", ())])
    return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}


def set_settings(args: argparse.Namespace, out: Output) -> dict[str, Any]:
    from model_training.setting_file import set_values

    pairs = [each.partition("=") for each in args.values]
    if wrong := [name for name, equals, _ in pairs if not equals]:
        raise UsageError(f"expected NAME=VALUE, found {wrong[0]!r}", hint="for example BASE_NAME=caps")
    path, changed = set_values({name: value for name, _, value in pairs}, args.file)
    out.say(f"{path}: {', '.join(changed)} changed" if changed else f"{path} says so already")
    return {"file": str(path), "changed": changed}


def bicep_parameters(settings: Settings) -> dict[str, Any]:
    """What main.bicep declares under a setting's name in camel case; an empty one is left to its default there.

    Raises: NotFoundError where there is no main.bicep beside the settings.
    """
    path = (settings.source.parent if settings.source else Path()) / BICEP
    if not path.is_file():
        raise NotFoundError(f"there is no {path}", hint="run it in a clone of this repository")
    declared = set(re.findall(r"^param (\w+) ", path.read_text(encoding="utf-8"), re.MULTILINE))
    values = {camel(each.name): getattr(settings, each.name) for each in fields(settings)}
    given = {name: {"value": value} for name, value in values.items() if name in declared and value != ""}
    return {"$schema": SCHEMA, "contentVersion": "1.0.0.0", "parameters": given}


def camel(name: str) -> str:
    """`aml_cluster_min_nodes` as `amlClusterMinNodes`."""
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)

"""Reads the JSON that `cva` and `az` answered: one value for a script, or a page for a run's summary (Markdown).

Called by the scripts beside it; needs nothing but Python. Knows no workspace and changes nothing but the one file that
`ended` is given.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path
from typing import Any

NUMBERS = (("Mean average precision", "mean_average_precision"), ("Precision", "precision"), ("Recall", "recall"))
FAILED, NOT_YET = 1, 75  # exit codes of `ended`


def main(argv: list[str] | None = None) -> int:
    """Returns the exit code; what was asked for goes to stdout."""
    args = parser().parse_args(argv)
    if "file" in args:
        args.answer = json.loads(args.file.read_text(encoding="utf-8"))
    return int(args.run(args) or 0)


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="answers.py", description=__doc__.splitlines()[0] if __doc__ else None)
    verbs = top.add_subparsers(required=True, metavar="COMMAND")
    _add(verbs, "value", value, "one value of an answer", "key")
    _add(verbs, "output", output, "one output of a deployment; nothing where it is empty", "name")
    _add(verbs, "published", published, "what `cva endpoint publish` did")
    _add(verbs, "submitted", submitted, "what `cva endpoint submit` started", "dataset", "model")
    _add(verbs, "ended", ended, "how a run of `cva job show` ended; exit code 1: badly, 75: not yet", "model_file")
    _add(verbs, "champion", champion, "the card of `cva model show`")
    _add(verbs, "listed", listed, "yes or no: is this version in a registry.json", "name", "version")
    _add(verbs, "account", account, "the storage account of a datastore of `cva datastore list`", "name")
    _add(verbs, "released", released, "what `cva model publish-static` did", "url")
    _add(verbs, "image", image, "the scoring image that was built", "image", "address")
    page = verbs.add_parser("text", help="a text file as a page")
    page.add_argument("title")
    page.add_argument("path", type=Path)
    page.set_defaults(run=text)
    return top


def _add(verbs: Any, name: str, run: Any, about: str, *more: str) -> None:
    command = verbs.add_parser(name, help=about)
    command.add_argument("file", type=Path)
    for argument in more:
        command.add_argument(argument)
    command.set_defaults(run=run)


def value(args: argparse.Namespace) -> None:
    """One line; a value with line breaks would be read as more than one."""
    found = args.answer.get(args.key)
    if not isinstance(found, str | int) or not re.fullmatch(r"[\w.:@/+-]+", str(found)):
        raise SystemExit(f"{args.file}: expected '{args.key}' to be a name or a number, found {found!r}")
    print(found)


def output(args: argparse.Namespace) -> None:
    """Of infrastructure/main.bicep: {"webAppName": {"type": "String", "value": "…"}, …}."""
    found = args.answer.get(args.name)
    if found is None:
        raise SystemExit(f"the deployment has no output '{args.name}': deploy infrastructure/ again")
    if not re.fullmatch(r"[\w.-]*", str(found["value"])):
        raise SystemExit(f"{args.file}: expected '{args.name}' to be a name, found {found['value']!r}")
    print(found["value"])


def published(args: argparse.Namespace) -> None:
    answer = args.answer
    is_default = answer["default_version"] == answer["version"]
    role = "the default" if is_default else f"not the default, which is {answer['default_version']}"
    _say(f"## Published {answer['endpoint']} version {answer['version']}", f"It is {role}.")
    _table(("commit", answer.get("git_commit") or "none"))


def submitted(args: argparse.Namespace) -> None:
    answer = args.answer
    _say(f"## Training {args.model} on {args.dataset}", "The run goes on by itself; this page does not follow it.")
    _table(("run", answer["run"]), ("status", answer["status"]), *_link(answer))
    _say(f"How it ended: `cva job show {answer['run']} --workspace azureml`")


def ended(args: argparse.Namespace) -> int:
    run = args.answer
    if run["status"] not in ("Completed", "Failed", "Canceled"):
        _say(f"## Run {run['run']} has not ended", f"It is {run['status']}: ask again later.")
        return NOT_YET
    if run["status"] != "Completed":
        _say(f"## Run {run['run']}: {run['status']}", _plain(run.get("error") or "The service gave no reason."))
        _table(*_link(run))
        return FAILED
    if not run.get("model"):
        reason = (run.get("decision") or {}).get("reason") or "it says not why"
        _say(f"## Run {run['run']} registered no model", _plain(reason))
    else:
        reference = f"{run['model']}:{run['version']}"
        _say(f"## {reference}{' is the champion' if run.get('champion') else ''}")
        kept = {"id": reference, **{key: run.get(key) for key in ("model", "version", "champion", "run", "metrics")}}
        Path(args.model_file).write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    _table(*_numbers(run.get("metrics") or {}), ("run", run["run"]), *_link(run))
    return 0


def champion(args: argparse.Namespace) -> None:
    model = args.answer
    _say(f"## {model['model']}:{model['version']}, the champion", "Approving its release brings it to every device.")
    _table(*_numbers(model.get("metrics") or {}), ("registered", model.get("created_at", "")))


def listed(args: argparse.Namespace) -> None:
    versions = args.answer.get("models", {}).get(args.name, {}).get("versions", {})
    print("yes" if args.version in versions else "no")


def account(args: argparse.Namespace) -> None:
    roots = [str(store["root"]) for store in args.answer if store["name"] == args.name]
    found = re.match(r"https://([a-z0-9]{3,24})\.", roots[0]) if roots else None
    if found is None:
        raise SystemExit(f"the workspace has no datastore '{args.name}' in a storage account: set EDGE_STORAGE_ACCOUNT")
    print(found[1])


def released(args: argparse.Namespace) -> None:
    done = args.answer
    _say(f"## {done['model']}:{done['version']} {done['status']} at {args.url}")
    _table(("champion there", done["champion"]), ("signed by", ", ".join(done["keyids"])))
    _say(f"On a device: `cva model pull {done['model']} --to /opt/models --registry {args.url}`")


def image(args: argparse.Namespace) -> None:
    _say(f"## {args.image}", "Also as `cva-scoring:latest`, which the web app pulls when it starts.")
    if args.address:
        _say(f"The web app restarts: https://{args.address}/health/ready says which version serves.")
    else:
        _say("There is no web app: deploy infrastructure/ with `deployWebApp`, whose README says how.")


def text(args: argparse.Namespace) -> None:
    lines = args.path.read_text(encoding="utf-8").splitlines()
    _say(f"## {args.title}", "\n".join(f"    {line}" for line in lines))


def _numbers(metrics: dict[str, Any]) -> list[tuple[str, object]]:
    """The three numbers and what they were measured on; an undefined one is said to be."""
    rows = [(title, metrics.get(key)) for title, key in NUMBERS]
    shown = [(title, "undefined" if number is None else f"{number:.4f}") for title, number in rows]
    measured = f"{metrics['images']} {metrics.get('split', '')} images" if metrics.get("images") else ""
    return [*shown, ("measured on", measured)]


def _link(answer: dict[str, Any]) -> list[tuple[str, object]]:
    return [("in the studio", answer.get("url") or "")]


def _say(*paragraphs: str) -> None:
    print("\n\n".join(paragraphs), end="\n\n")


def _table(*rows: tuple[str, object]) -> None:
    filled = [(name, found) for name, found in rows if found not in ("", None)]
    if filled:
        _say("\n".join(["| | |", "|---|---|", *(f"| {name} | {_plain(str(found))} |" for name, found in filled)]))


def _plain(words: str) -> str:
    """A stranger's words in one line that Markdown takes as they are."""
    return re.sub(r"[<>|`\[\]*_\\]", lambda sign: f"\\{sign[0]}", " ".join(words.split()))


if __name__ == "__main__":
    sys.exit(main())

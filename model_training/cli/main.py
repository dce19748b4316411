"""The console script `cva`: finds the noun's module, runs it, turns errors into words and exit codes.

Imports nothing heavy: a noun's module is imported when it is called. Each module has `parser() -> ArgumentParser` whose
commands set `run`, a function `(args, out) -> result`; the result is a JSON value or None. Commands with `long=True`
always end with the JSON line.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import io
import os
import sys
from collections.abc import Sequence

from model_training.cli.output import Output, plain
from scoring.errors import CvaError, UsageError

NOUNS = {
    "demo": ("model_training.cli.demo", "the whole main job on generated data, in minutes"),
    "data": ("model_training.cli.data", "labelled data: import, check, list, show, split, export, sample"),
    "datastore": ("model_training.cli.datastore", "named places of images: add, list, browse"),
    "cluster": ("model_training.cli.cluster", "named compute: list"),
    "job": ("model_training.cli.job", "AutoML image jobs: validate, run, list, show, cancel"),
    "endpoint": (
        "model_training.cli.endpoint",
        "pipeline endpoints: publish, list, show, set-default, submit, serve",
    ),
    "model": (
        "model_training.cli.model",
        "registered models: list, show, promote, publish-static, pull, deploy, undeploy",
    ),
    "keys": ("scoring.edge.cli", "signing keys and the keys a device trusts: new, show, trust, revoke, list"),
    "score": ("scoring.cli", "find objects in images with a registered model"),
    "serve": ("scoring.server.cli", "answer over HTTP: /score, the search skill, a page to try it"),
    "batch": ("model_training.cli.batch", "score many images: a folder, a pattern or a dataset to JSON lines"),
    "search": ("scoring.search.cli", "pictures searchable by label in Azure AI Search: setup, status, query"),
    "workspace": ("model_training.cli.workspace", "where everything lives: info, check, doctor, gc"),
    "settings": ("model_training.cli.settings", "variable_template.yml as it is understood: show"),
}

USAGE = """usage: cva NOUN VERB [options]

Labelled images in, a registered and verified detector out.

{nouns}

every command:
  --workspace PATH   where everything lives (default: CVA_WORKSPACE, the nearest .cva upwards, or a new .cva here);
                     `azureml` is the Azure ML workspace that variable_template.yml names
  --json             one JSON object on stdout, everything else on stderr
  -v, --verbose      more words, and a traceback when something breaks

start with `cva demo`; `cva NOUN --help` says more about each; `cva --version` prints the version
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code (0 done, 1 failed, 2 usage, 130 cancelled; `model pull` has its own)."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments[:1] == ["--version"]:
        from importlib.metadata import version

        print(version("cv-accelerator"))
        return 0
    settings, rest = _global_options().parse_known_args(arguments)
    if not rest or rest[0] in ("-h", "--help", "help"):
        print(_help(), end="")
        return 0 if rest else 2
    out = Output(json_only=settings.json, verbose=settings.verbose)
    if settings.workspace:
        os.environ["CVA_WORKSPACE"] = settings.workspace
    return _run(rest[0], rest[1:], out)


def _run(noun: str, rest: Sequence[str], out: Output) -> int:
    if noun not in NOUNS:
        return _report(UsageError(f"'{noun}' is not a command; there are: {', '.join(NOUNS)}"), out)
    try:
        parser: argparse.ArgumentParser = importlib.import_module(NOUNS[noun][0]).parser()
        args = _parsed(parser, rest, out)
        if not hasattr(args, "run"):
            parser.print_help(out.human)
            return 2
        result = args.run(args, out)
        if result is not None and (out.json_only or getattr(args, "long", False)):
            out.json(result)
        return int(getattr(args, "exit_code", 0))
    except CvaError as error:
        return _report(error, out)
    except KeyboardInterrupt:
        print("cva: interrupted; the same command goes on from where it stopped", file=sys.stderr)
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except ModuleNotFoundError as error:
        return _report(_not_installed(error), out)
    except OSError as error:
        return _report(_from_os(error), out)


def _parsed(parser: argparse.ArgumentParser, rest: Sequence[str], out: Output) -> argparse.Namespace:
    """Under --json a wrong argument is a JSON object, too. Raises: UsageError; SystemExit, which has said why."""
    if not out.json_only:
        return parser.parse_args(rest)
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            return parser.parse_args(rest)
    except SystemExit as end:
        if not end.code:
            raise
        words = said.getvalue().strip().rpartition(": error: ")[2]
        raise UsageError(words, hint=f"{parser.prog} --help says what there is") from None


def _report(error: CvaError, out: Output) -> int:
    if out.verbose:
        import traceback

        traceback.print_exc()
    for line in getattr(error, "problems", ()):
        print(f"  {plain(line)}", file=sys.stderr)
    print(f"cva: {plain(str(error))}", file=sys.stderr)
    if out.json_only:
        facts = {"type": type(error).__name__, "message": error.message, "hint": error.hint}
        problems = list(getattr(error, "problems", ()))
        out.json({"error": {**facts, "problems": problems} if problems else facts})
    return error.exit_code


def _not_installed(error: ModuleNotFoundError) -> CvaError:
    """A light installation scores and pulls; the rest needs an extra. Our own modules are always there."""
    missing = (error.name or "").partition(".")[0]
    if missing in ("", "model_training", "scoring"):
        raise error
    return UsageError(
        f"this command needs the training extra: {missing} is not installed",
        hint="in the project's folder: make setup, or pip install '.[train]'",
    )


def _from_os(error: OSError) -> CvaError:
    import errno

    from scoring.errors import StorageError

    hints = {
        errno.ENOSPC: "free some space (`cva workspace gc` removes what nothing refers to), then run the same again",
        errno.EDQUOT: "free some of your quota and run the same command again",
        errno.EACCES: "check who owns the file, or choose another --workspace",
        errno.ENOTDIR: "give a folder",
        errno.EISDIR: "give a file",
        errno.ENOENT: "check the path",
    }
    where = f": {error.filename}" if error.filename else ""
    return StorageError(
        f"{error.strerror or error}{where}",
        hint=hints.get(error.errno or 0, "see above; -v prints a traceback"),
    )


def _global_options() -> argparse.ArgumentParser:
    """Options that may stand anywhere; what it does not know is the command's own."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--workspace")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("-v", "--verbose", action="store_true")
    return parser


def _help() -> str:
    return USAGE.format(nouns="\n".join(f"  {name:<10} {text}" for name, (_, text) in NOUNS.items()))


if __name__ == "__main__":
    sys.exit(main())

"""Each `cva` command that a script calls is one that there is, with options that it has. Asks the parsers, runs none.

Knows the bash that these scripts are written in: words, arrays of options, "$@"; a value in quotes is any value.
"""

from __future__ import annotations

import argparse
import importlib
import re
from collections.abc import Iterator
from functools import cache

from model_training.cli.main import NOUNS
from tests.infrastructure.bicep.finding import Place
from tests.pipelines.checker.findings import Findings
from tests.pipelines.checker.outputs import scripts_of
from tests.pipelines.checker.pipeline import Pipeline
from tests.pipelines.checker.tree import Tree

RULE = "commands"
CALL = re.compile(r"\b(?:cva_json \S+|cva(?= [a-z]))((?: (?:\"[^\"]*\"|[^\s|>;&)]+))+)")
ARRAY = re.compile(r"\b(\w+)\+?=\(([^)]*)\)")
EXPANDED = re.compile(r"\"\$\{(\w+)\[@\]\}\"")
OPTION = re.compile(r"(?<!\S)--[a-z][a-z-]*")
GLOBAL = ("--workspace", "--json", "--verbose")


def check_commands(tree: Tree, findings: Findings) -> None:
    for path, text in tree.texts.items():
        if path.startswith(".pipelines/scripts/") and path.endswith(".sh"):
            for at, words in _calls(path, text):
                _check_call(at, words, findings)


def check_passed_on(pipeline: Pipeline, tree: Tree, findings: Findings) -> None:
    """Options in a step's arguments are those of the command that "$@" reaches."""
    for _, _, step in pipeline.steps():
        for path in scripts_of(step):
            for at, words in _calls(path, tree.texts.get(path, "")):
                if step.shell and '"$@"' in words:
                    _check_options(step.shell.at, words, OPTION.findall(step.shell), findings)
                    _check_call(at, words, findings)


def _calls(path: str, text: str) -> Iterator[tuple[Place, str]]:
    """The words of each call, with arrays filled in; comments are none."""
    joined = re.sub(r"\\\n\s*", " ", text)
    arrays: dict[str, str] = {}
    for name, words in ARRAY.findall(joined):
        arrays[name] = f"{arrays.get(name, '')} {words}"
    for line in joined.splitlines():
        code = re.sub(r"(^|\s)#.*", "", line)
        for match in CALL.finditer(code):
            words = EXPANDED.sub(lambda name: arrays.get(name[1], ""), match[1]).strip()
            yield Place(path, 1 + text[: text.find(line[:30])].count("\n")), words


def _check_call(at: Place, words: str, findings: Findings) -> None:
    command = _command(words)
    if command is None:
        findings.add(at, RULE, f"there is no command `cva {' '.join(words.split()[:2])}`")
        return
    options = OPTION.findall(words)
    _check_options(at, words, options, findings)
    for action in command._actions:
        needed = action.required and action.option_strings
        if needed and '"$@"' not in words and not set(action.option_strings) & set(options):
            findings.add(at, RULE, f"`{command.prog}` needs {action.option_strings[0]}")


def _check_options(at: Place, words: str, options: list[str], findings: Findings) -> None:
    command = _command(words)
    for option in options:
        if command and option not in command._option_string_actions and option not in GLOBAL:
            findings.add(at, RULE, f"`{command.prog}` has no option {option}")


def _command(words: str) -> argparse.ArgumentParser | None:
    """The parser of noun and verb; None when there is none."""
    noun, verb = [*words.split(), "", ""][:2]
    return _verbs(noun).get(verb) if noun in NOUNS else None


@cache
def _verbs(noun: str) -> dict[str, argparse.ArgumentParser]:
    top: argparse.ArgumentParser = importlib.import_module(NOUNS[noun][0]).parser()
    found: dict[str, argparse.ArgumentParser] = {}
    for action in top._actions:
        if isinstance(action, argparse._SubParsersAction):
            found |= action.choices
    return found

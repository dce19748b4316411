"""The whole check: files read, expressions looked at, each pipeline expanded with each choice, each rule asked."""

from __future__ import annotations

from tests.infrastructure.bicep.finding import Finding
from tests.pipelines.checker import parameters
from tests.pipelines.checker.commands import check_commands, check_passed_on
from tests.pipelines.checker.compile_time import File, check_compile_time
from tests.pipelines.checker.conditions import check_conditions
from tests.pipelines.checker.expand import Expander, included_path
from tests.pipelines.checker.findings import Findings
from tests.pipelines.checker.nodes import Map, Node, NotYaml, Text, maps, read
from tests.pipelines.checker.pipeline import pipeline, variables
from tests.pipelines.checker.practice import check_practice
from tests.pipelines.checker.references import check_references
from tests.pipelines.checker.schema import check_schema
from tests.pipelines.checker.scripts import check_calls, check_scripts
from tests.pipelines.checker.settings import SETTINGS, check_settings, names_of
from tests.pipelines.checker.tasks import check_tasks
from tests.pipelines.checker.tree import Tree
from tests.pipelines.checker.triggers import check_triggers
from tests.pipelines.checker.variables import check_variables

OF_PIPELINES = (
    check_references,
    check_conditions,
    check_variables,
    check_tasks,
    check_practice,
    check_calls,
    check_passed_on,
)


def check(tree: Tree) -> list[Finding]:
    """What is wrong in .pipelines/ and variable_template.yml, in the order of files and lines."""
    findings = Findings()
    documents = _read(tree, findings)
    settings = names_of(documents.get(SETTINGS))
    for path, document in documents.items():
        known = settings | frozenset(variables(document) if isinstance(document, Map) else ())
        file = File(path, document, parameters.declared(document, findings), known, path in tree.pipelines)
        check_compile_time(file, findings)
        if file.is_pipeline and isinstance(document, Map):
            check_triggers(document, tree, findings)
            _expanded(file, document, documents, tree, findings)
    _included(documents, tree, findings)
    check_scripts(tree, settings, findings)
    check_commands(tree, findings)
    check_settings(tree, documents.get(SETTINGS), findings)
    return findings.sorted()


def _read(tree: Tree, findings: Findings) -> dict[str, Node]:
    found = {}
    for path in (SETTINGS, *tree.templates, *tree.pipelines):
        try:
            found[path] = read(tree.texts.get(path, ""), path)
        except NotYaml as error:
            findings.add(error.at, "yaml", str(error))
    return found


def _expanded(file: File, document: Map, documents: dict[str, Node], tree: Tree, findings: Findings) -> None:
    valid = True  # what the schema says of one expansion it says of all, slowly
    for chosen in parameters.choices(file.parameters):
        values = {"parameters": chosen, "variables": _known_before(document, documents)}
        made = Expander(documents, findings, file.path, values).expand(document)
        if isinstance(made, Map):
            valid = valid and check_schema(made, findings)
            for rule in OF_PIPELINES:
                rule(pipeline(file.path, made), tree, findings)


def _known_before(document: Map, documents: dict[str, Node]) -> dict[str, Text]:
    """Variables that have their value before a run: the settings', and the pipeline's own."""
    named = (documents.get(SETTINGS), document)
    return {name: value for each in named if isinstance(each, Map) for name, value in variables(each).items()}


def _included(documents: dict[str, Node], tree: Tree, findings: Findings) -> None:
    """A template that no file includes is checked by nobody."""
    named = {
        included_path(path, each["template"])
        for path, document in documents.items()
        for each in maps(document)
        if isinstance(each.get("template"), Text)
    }
    for path in (SETTINGS, *tree.templates):
        if path in documents and path not in named:
            findings.add(documents[path], "templates", f"no pipeline includes {path}")

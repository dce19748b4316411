"""The pipelines as they are: nothing is found in them. And the check itself: what it lets through, what it does not."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tests.pipelines.checker.check import check
from tests.pipelines.checker.evaluate import FUNCTIONS, evaluate, text
from tests.pipelines.checker.expressions import GENERAL, Broken, parse, spans
from tests.pipelines.checker.findings import Findings
from tests.pipelines.checker.nodes import NotYaml, read
from tests.pipelines.checker.schema import inputs_of
from tests.pipelines.checker.tasks import TASKS
from tests.pipelines.checker.tree import Tree
from tests.pipelines.checker.triggers import check_triggers

ROOT = Path(__file__).resolve().parents[2]
HEAD = """\
# Asks in the environment prod.
trigger: none
pr: none
{parameters}
variables:
  - template: ../variable_template.yml
pool:
  vmImage: ubuntu-24.04
stages:
"""
JOB = """\
      - job: {name}
        timeoutInMinutes: 5
        {more}
        steps:
          - bash: make lint
"""
LOOP = """\
  - ${{{{ {word} }}}}:
      - stage: S{number}
        jobs:
          - ${{{{ each place in parameters.places }}}}:
              - job: job_${{{{ place }}}}
                timeoutInMinutes: 5
                steps:
                  - bash: make lint
"""


@pytest.fixture(scope="module")
def tree() -> Tree:
    return Tree.of(ROOT)


def added(tree: Tree, stages: str, parameters: str = "") -> list[str]:
    """What is found in one more pipeline."""
    path = ".pipelines/another.yml"
    return [str(found) for found in check(tree.with_text(path, HEAD.format(parameters=parameters) + stages))]


def job(name: str, more: str = "") -> str:
    return JOB.format(name=name, more=more)


def test_nothing_is_wrong_in_our_own_files(tree: Tree) -> None:
    assert len(tree.pipelines) == 4
    assert [str(found) for found in check(tree)] == []


@pytest.mark.parametrize(
    ("reason", "weekly", "trains"), [("Manual", "no", True), ("Schedule", "no", False), ("Schedule", "yes", True)]
)
def test_the_schedule_spends_nothing_until_somebody_says_yes(
    tree: Tree, reason: str, weekly: str, trains: bool
) -> None:
    """And it is shipped with "no"; the later stages follow the first one, as they state no condition."""
    pipeline = yaml.safe_load(tree.texts[".pipelines/train_model.yml"])
    assert [each["always"] for each in pipeline["schedules"]] == [True], "new data comes without a commit"
    assert {"name": "train_weekly", "value": "no"} in pipeline["variables"]
    submit, rest = pipeline["stages"]
    condition = submit["condition"].replace("succeeded()", "true")
    variables = {"variables": {"build.reason": reason, "train_weekly": weekly}}
    assert text(evaluate(parse(condition), variables)) == str(trains)
    assert not [stage for stages in rest.values() for stage in stages if "condition" in stage]


STAGE = "  - stage: A\n    jobs:\n"
SETS_X = "echo '##vso[task.setvariable variable=x;isOutput=true]1'\n            name: s"
LOGIN = """\
          - template: templates/azure.yml
            parameters:
              connection: $(AZURE_RM_SVC_CONNECTION)
              displayName: Long
              script: check_bicep.sh
              timeout: 56
"""
# Right, though unlike our own files.
RIGHT = {
    "stages side by side": STAGE + job("a") + "  - stage: B\n    dependsOn: []\n    jobs:\n" + job("b"),
    "jobs in order": STAGE + job("a") + job("b", "dependsOn: a\n        condition: succeeded('a')"),
    "an output of a job": STAGE
    + job("a").replace("make lint", SETS_X)
    + job("b", "dependsOn: a\n        variables:\n          x: $[ dependencies.a.outputs['s.x'] ]"),
    "the result of a stage": STAGE
    + job("a")
    + "  - stage: B\n    condition: in(dependencies.A.result, 'Failed', 'Canceled')\n    jobs:\n"
    + job("b"),
    "a setting before the run": STAGE + job("a", "displayName: ${{ upper(variables.AZUREML_SDK) }}"),
    "a login as long as its tokens live": STAGE
    + job("a").replace("timeoutInMinutes: 5", "timeoutInMinutes: 90")
    + LOGIN.replace("56", "55"),
    "a counter": STAGE.replace("    jobs", "    variables:\n      n: $[ counter('n', 1) ]\n    jobs")
    + job("a", "displayName: $(n)"),
}


@pytest.mark.parametrize("name", RIGHT)
def test_what_is_right_is_let_through(tree: Tree, name: str) -> None:
    assert added(tree, RIGHT[name]) == []


def test_choices_and_loops_are_expanded_as_azure_does(tree: Tree) -> None:
    parameters = (
        "parameters:\n  - name: places\n    type: object\n    default: [a, b]\n"
        "  - name: how\n    type: string\n    default: x\n    values: [x, y, z]"
    )
    words = ("if eq(parameters.how, 'x')", "elseif eq(parameters.how, 'y')", "else")
    stages = "".join(LOOP.format(word=word, number=number) for number, word in enumerate(words))
    assert added(tree, stages, parameters) == []
    found = added(tree, stages.replace("job_${{ place }}", "same"), parameters)
    assert len([each for each in found if "'same' is the name of more than one job" in each]) == 3


# Wrong in ways that the seeded faults do not show; the words that are said.
WRONG = {
    "jobs in a circle": (STAGE + job("a", "dependsOn: b") + job("b", "dependsOn: a"), "waits for itself"),
    "a step's timeout above its job's": (STAGE + job("a") + "            timeoutInMinutes: 9\n", "its job only 5"),
    "a login longer than its tokens live": (
        STAGE + job("a").replace("timeoutInMinutes: 5", "timeoutInMinutes: 90") + LOGIN,
        "a step with a login ends in 55 minutes",
    ),
    "no stages": ("  []\n", "has no jobs"),
    "a name with a hyphen": (STAGE + job("a-b"), "'a-b' is no name"),
    "a result that there is not": (
        STAGE + job("a") + "  - stage: B\n    condition: eq(dependencies.A.result, 'Success')\n    jobs:\n" + job("b"),
        "the result 'Success'",
    ),
    "a target that there is not": (STAGE + job("a").replace("make lint", "make lints"), "no target 'lints'"),
    "a script that needs a name": (
        STAGE + job("a").replace("make lint", ".pipelines/scripts/collect_training.sh"),
        "needs RUN_ID",
    ),
    "a script that is only sourced": (
        STAGE + job("a").replace("make lint", ".pipelines/scripts/common.sh"),
        "cannot be started",
    ),
    "a template of steps among jobs": (STAGE + "      - template: templates/python.yml\n", "cannot stand among jobs"),
    "the server runs no shell": (STAGE + job("a", "pool: server"), "`pool: server` has none"),
    "an else alone": (STAGE + job("a") + "            ${{ else }}:\n              name: x\n", "without an if"),
    "parameters at run time": (STAGE + job("a", "condition: eq(parameters.x, 1)"), "there is no 'parameters'"),
    "a macro that nothing defines": (STAGE + job("a", "displayName: $(nothing)"), "nothing defines $(nothing)"),
    "an expression that is not closed": (STAGE + job("a", "displayName: ${{ 1"), "not closed"),
    "a key twice": (STAGE + job("a", "displayName: x\n        displayName: y"), "stands twice"),
    "a service hidden in a shell": (
        STAGE + job("a").replace("make lint", "curl --header $(System.AccessToken) x"),
        "shows a secret",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_named(tree: Tree, name: str) -> None:
    stages, words = WRONG[name]
    found = added(tree, stages)
    assert any("another.yml" in each or "templates/" in each for each in found)
    assert words in "\n".join(found)


# An edit of a file beside, and the words that are said.
BESIDE = {
    "a verb": ("publish_pipeline.sh", "endpoint publish", "endpoint publsh", "no command `cva endpoint publsh`"),
    "an option in an array": ("submit_training.sh", "--dataset-name", "--dataset", "no option --dataset"),
    "a needed option": ("release_model.sh", ' --to "$release"', "", "`cva model publish-static` needs --to"),
    "the setting in a function": (
        "common.sh",
        "cva settings show",
        "cva setting show",
        "no command `cva setting show`",
    ),
    "the file beside": ("review_champion.sh", "/common.sh", "/commons.sh", "no .pipelines/scripts/commons.sh"),
    "the output": ("review_champion.sh", "variable=version;", "variable=number;", "no output variable 'version'"),
    "the file that is kept": ("infrastructure.sh", "$OUT/outputs.json", "$OUT/output.json", "writes outputs.json"),
    "a name that is needed": ("review_champion.sh", "need MODEL_NAME", "need MODEL", "needs MODEL,"),
}


@pytest.mark.parametrize("name", BESIDE)
def test_scripts_and_pipelines_must_agree(tree: Tree, name: str) -> None:
    script, find, replace, words = BESIDE[name]
    path = f".pipelines/scripts/{script}"
    assert find in tree.texts[path]
    assert words in "\n".join(map(str, check(tree.with_text(path, tree.texts[path].replace(find, replace)))))


def test_options_that_reach_a_command_are_its_own(tree: Tree) -> None:
    path = ".pipelines/publish_aml_pipeline.yml"
    found = check(tree.with_text(path, tree.texts[path].replace("--no-default", "--not-default")))
    assert [each.message for each in found] == ["`cva endpoint publish` has no option --not-default"]


def test_what_a_person_types_never_reaches_a_shell(tree: Tree) -> None:
    parameters = "parameters:\n  - name: typed\n    type: string\n    default: x"
    stages = STAGE + job("a").replace("make lint", "echo ${{ parameters.typed }}")
    assert any("typed by a person" in found for found in added(tree, stages, parameters))


def test_a_template_that_nobody_includes_is_named(tree: Tree) -> None:
    found = check(tree.with_text(".pipelines/templates/more.yml", "steps:\n  - bash: make lint\n"))
    assert [each.message for each in found] == ["no pipeline includes .pipelines/templates/more.yml"]


def test_the_table_of_tasks_agrees_with_microsofts_schema() -> None:
    for name, task in TASKS.items():
        known = inputs_of(name)
        named = {*task.requires, *(each for names in task.when.values() for each in names)}
        assert known and named <= set(known), name
        for input_name, value in task.when:
            assert value in known[input_name]["enum"]


@pytest.mark.parametrize(
    ("cron", "right"),
    [
        ("0 2 * * Mon", True),
        ("*/15 0-6,18 1 Jan-Mar 0", True),
        ("60 2 * * *", False),  # minutes end at 59
        ("0 2 * * Mon-Xyz", False),
        ("0 2 0 * *", False),  # days begin at 1
        ("0 6-2 * * *", False),
        ("* * * *", False),
    ],
)
def test_a_schedule_is_one_that_a_clock_understands(tree: Tree, cron: str, right: bool) -> None:
    findings = Findings()
    schedule = f"trigger: none\npr: none\nschedules:\n  - cron: '{cron}'\n    branches:\n      include: [main]\n"
    check_triggers(read(schedule, "x.yml"), tree, findings)  # type: ignore[arg-type]
    assert (findings.sorted() == []) == right


def test_every_function_that_templates_know_has_a_value() -> None:
    assert set(FUNCTIONS) == set(GENERAL)


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("eq('A', 'a')", "True"),  # letters' case does not matter
        ("eq(1, '1.0')", "True"),  # the right side becomes what the left one is
        ("and(true, not(false), ne(x.y, 3))", "True"),
        ("coalesce(x.none, '', x.y)", "2"),
        ("format('{0}-{1}', x.list[1], x['y'])", "b-2"),
        ("join(',', x.list)", "a,b"),
        ("contains('it''s', '''')", "True"),
        ("iif(gt(x.y, 1), 'more', 'less')", "more"),
    ],
)
def test_an_expression_has_the_value_that_azure_gives_it(expression: str, value: str) -> None:
    assert text(evaluate(parse(expression), {"x": {"y": 2.0, "list": ["a", "b"]}})) == value


@pytest.mark.parametrize("broken", ["eq(1, 2", "eq(1 2)", "a == b", "'open", "f(,)", "a..b", "a[1", "", "1 2", "a.'b'"])
def test_a_broken_expression_is_refused(broken: str) -> None:
    with pytest.raises(Broken):
        parse(broken)


def test_quotes_may_hold_braces() -> None:
    assert [inside for inside, _, _ in spans("a ${{ eq('}}', 1) }} b ${{ x }}")] == ["eq('}}', 1)", "x"]


@pytest.mark.parametrize("wrong", ["a: [", "a: 1\na: 2", "", "? [x]\n: 1"])
def test_what_is_no_yaml_is_refused_with_its_line(wrong: str) -> None:
    with pytest.raises(NotYaml) as caught:
        read(wrong, "x.yml")
    assert str(caught.value.at).startswith("x.yml:")

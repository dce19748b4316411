"""The document of the interface against the server: whatever it allows or forbids, the answer is a documented one.

Schemathesis runs as the command it is, with all its checks. Two of them are told more: no schema can say which
bytes are an image, so where one is expected a 400 may follow a request that fits the document; and 413 is a refusal.
With more examples: `benchmarks/serving/schema.py`.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tests.scoring.server.running import Running

IMAGES = (
    "/score",
    "/image",
    "/url",
    "/invocations",
    "/v2/models/{name}/infer",
    "/v2/models/{name}/versions/{version}/infer",
)
REFUSED = ["400", "401", "404", "405", "406", "413", "415"]  # 413: more of something than the document allows
PERHAPS = ["2xx", "400", "404"]  # 404: another model's name


def write_config(folder: Path) -> Path:
    rules = (
        f'[[operations]]\ninclude-path = "{path}"\nchecks.positive_data_acceptance.expected-statuses = {PERHAPS}\n'
        for path in IMAGES
    )
    path = folder / "schemathesis.toml"
    refused = f"[checks.negative_data_rejection]\nexpected-statuses = {REFUSED}\n"
    path.write_text("\n".join((refused, *rules)))
    return path


def run(url: str, folder: Path, *arguments: str) -> str:
    """What it printed; a failure is this test's."""
    command = [sys.executable, "-c", "from schemathesis.cli import schemathesis; schemathesis()"]
    command += [f"--config-file={write_config(folder)}", "run", f"{url}/openapi.json", "--checks=all"]
    command += ["--generation-deterministic", "--continue-on-failure", "--no-color", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    return done.stdout


def test_every_answer_is_a_documented_one(serve: Callable[..., Running], tmp_path: Path) -> None:
    printed = run(serve().url, tmp_path, "--max-examples=4")
    selected, tested = (re.search(rf"{word}: +(\d+)", printed) for word in ("Selected", "Tested"))
    assert selected
    assert tested
    assert int(selected[1]) == int(tested[1]) > 20


def test_so_it_is_where_keys_are_asked_for(serve: Callable[..., Running], tmp_path: Path) -> None:
    """With the key, without it and with another one."""
    server = serve(keys=(b"the key",))
    run(
        server.url,
        tmp_path,
        "--header=x-api-key: the key",
        "--phases=coverage",
        "--include-path-regex=^/(score|metadata)$",
    )

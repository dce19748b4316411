"""The container image: its file is linted and says what it must; where a builder is, it is built, run and asked.

To build it, as root with buildah: CVA_TEST_BASE_IMAGE=IMAGE, an image in its store that has python3 with venv and pip.
"""

from __future__ import annotations

import http.server
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from scoring.server import arguments
from scoring.server.pulled import PulledModel, open_source
from scoring.server.source import Source
from tests.scoring.container import arm64, runtime
from tests.scoring.container.dockerfile import DOCKERFILE, ROOT, copied, copy_context, read_dockerfile

WITH_MODEL = DOCKERFILE.with_name("bundle.Dockerfile")
KEY = "a-key-of-this-test-0123456789abcdef"


def hadolint(path: Path) -> subprocess.CompletedProcess[str]:
    tool = shutil.which("hadolint", path=str(Path(sys.executable).parent)) or shutil.which("hadolint")
    assert tool, "hadolint is one of the development requirements"
    return subprocess.run([tool, str(path)], capture_output=True, text=True, check=False)


def words(word: str, *, last_stage: bool = True) -> list[str]:
    found = read_dockerfile()
    final = found[-1].stage
    return [each.rest for each in found if each.word == word and (each.stage == final or not last_stage)]


@pytest.mark.parametrize("path", [DOCKERFILE, WITH_MODEL], ids=lambda path: path.name)
def test_the_linter_finds_nothing(path: Path) -> None:
    done = hadolint(path)
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (("FROM ${BASE}\n", "FROM python:latest\n"), "DL3007"),
        (("WORKDIR /models\n", "RUN apt-get install curl\n"), "DL3008"),
        (("USER 10001:10001", "USER root"), "DL3002"),
        (('ENTRYPOINT ["cva", "serve"]', "ENTRYPOINT cva serve"), "DL3025"),
    ],
)
def test_the_linter_finds_a_fault_put_there(fault: tuple[str, str], code: str, tmp_path: Path) -> None:
    text = DOCKERFILE.read_text()
    assert fault[0] in text
    broken = tmp_path / "Dockerfile"
    broken.write_text(text.replace(*fault))
    done = hadolint(broken)
    assert done.returncode != 0 and code in done.stdout


def test_it_runs_as_a_user_that_is_a_number_and_not_root() -> None:
    [user] = words("USER")
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", user)


def test_it_is_started_and_stopped_without_a_shell() -> None:
    instructions = {each.word: each for each in read_dockerfile()}
    assert instructions["ENTRYPOINT"].exec_form == ["cva", "serve"]
    assert instructions["CMD"].exec_form == ["--host", "0.0.0.0"]
    assert words("STOPSIGNAL") == ["SIGTERM"]
    assert words("EXPOSE") == ["8080"]


def variables() -> dict[str, str]:
    return dict(pair.split("=", 1) for rest in words("ENV") for pair in rest.split())


def started(environ: dict[str, str]) -> Source:
    """What it serves as it is started, with that environment beside its own."""
    instructions = {each.word: each for each in read_dockerfile()}
    args = arguments.parser().parse_args(instructions["CMD"].exec_form)
    kept = {"registry": args.registry, "store": args.store, "environ": environ}
    return open_source(model=args.model, bundle=args.bundle, **kept)


def test_as_it_is_started_it_serves_what_is_at_models(tiny_bundle: Callable[..., Path]) -> None:
    assert variables()["AZUREML_MODEL_DIR"] == words("WORKDIR")[0] == "/models"
    folder = tiny_bundle("models")
    assert started({"AZUREML_MODEL_DIR": str(folder)}).find().folder == folder.resolve()


def test_as_it_is_started_get_latest_model_pulls_into_models(tmp_path: Path) -> None:
    """The older skill's words; a --bundle among the arguments would go before them."""
    asked = {"GET_LATEST_MODEL": "true", "EXPERIMENT_NAME": "Caps", "CVA_REGISTRY": f"file:{tmp_path}"}
    source = started(asked | {"AZUREML_MODEL_DIR": str(tmp_path / "models")})
    assert isinstance(source, PulledModel)
    assert (source.name, source.version, source.dest) == ("Caps", "best", tmp_path / "models")


def test_the_web_app_starts_it_as_it_starts_itself() -> None:
    """App Service's start-up command replaces the image's own."""
    main = (ROOT / "infrastructure" / "main.bicep").read_text(encoding="utf-8")
    instructions = {each.word: each for each in read_dockerfile()}
    [given] = re.findall(r"^param scoringArguments string = '(.*)'$", main, re.MULTILINE)
    assert given.split() == instructions["CMD"].exec_form


def test_with_a_model_it_is_the_same_image_with_the_context_at_models() -> None:
    found = [(each.word, each.rest) for each in read_dockerfile(WITH_MODEL)]
    assert found == [("ARG", "SCORING=cva-scoring:latest"), ("FROM", "${SCORING}"), ("COPY", ". /models")]


def test_nothing_in_it_depends_on_the_processor() -> None:
    assert not re.search(r"amd64|x86|aarch64|arm64|--platform", DOCKERFILE.read_text().partition("\nFROM")[2])


def test_every_pin_has_a_wheel_for_arm64() -> None:
    """As pip found them; a changed pin wants the list anew."""
    assert f"python:{arm64.PYTHON[0]}.{arm64.PYTHON[1]}-slim-bookworm" in words("ARG", last_stage=False)[0]
    found = list(arm64.listed())
    anew = "python -m tests.scoring.container.arm64"
    assert {name: version for name, version, _ in found} == arm64.pins(), anew
    assert [name for name, _, fits in found if not fits] == [], anew


def test_it_holds_no_secret_and_no_address_of_packages() -> None:
    text = DOCKERFILE.read_text()
    assert not re.search(r"https?://(?!127\.0\.0\.1)|index-url|(?i:password|token|secret)", text.replace("{port}", ""))
    assert not [name for name in words("ENV") + words("ARG") if "CVA_KEYS" in name]


def test_what_is_copied_exists_and_only_that_is_in_the_context() -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    patterns = [line for line in lines if line and not line.startswith("#")]
    assert patterns[0] == "*"
    assert {line[1:] for line in patterns if line.startswith("!")} == set(copied())
    assert all((ROOT / name).exists() for name in copied())


def test_the_wheel_has_every_file_that_the_server_reads(tmp_path: Path) -> None:
    """Made as the image makes it, of what the image is given; a missing package-data line shows here."""
    context = copy_context(tmp_path / "context")
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*pip, "--wheel-dir", str(tmp_path), str(context)], check=True, capture_output=True, timeout=120)
    [wheel] = tmp_path.glob("*.whl")
    inside = set(zipfile.ZipFile(wheel).namelist())
    sources = {path.relative_to(context).as_posix() for path in (context / "scoring").rglob("*") if path.is_file()}
    assert sources - inside == {"scoring/Dockerfile", "scoring/bundle.Dockerfile"}
    assert not [name for name in inside if name.startswith(("tests/", "benchmarks/"))]


class Ready(http.server.BaseHTTPRequestHandler):
    status = 200

    def do_GET(self) -> None:
        self.send_response(self.status if self.path == "/health/ready" else 404)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@pytest.mark.parametrize(("status", "healthy"), [(200, True), (503, False)])
def test_the_health_check_asks_whether_the_server_is_ready(status: int, healthy: bool) -> None:
    [health] = [each for each in read_dockerfile() if each.word == "HEALTHCHECK"]
    handler = type("Handler", (Ready,), {"status": status})
    with http.server.HTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        surroundings = {"WEBSITES_PORT": str(server.server_port), "http_proxy": "http://127.0.0.1:9"}
        command = [sys.executable, *health.exec_form[1:]]
        done = subprocess.run(command, env=surroundings, capture_output=True, timeout=30, check=False)
        server.shutdown()
    assert (done.returncode == 0) is healthy


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[runtime.Image]:
    reason = runtime.missing()
    if reason:
        pytest.skip(reason)
    with runtime.built(copy_context(tmp_path_factory.mktemp("context"))) as made:
        yield made


@pytest.fixture
def mounts(tiny_bundle: Callable[..., Path], tmp_path: Path) -> dict[Path, str]:
    keys = tmp_path / "keys"
    keys.mkdir()
    (keys / "keys").write_text(KEY + "\n")
    for path in (keys, keys / "keys"):
        os.chown(path, 10001, 10001)
    (keys / "keys").chmod(0o400)
    return {tiny_bundle("served"): "/models", keys: "/mnt"}


def test_nothing_can_be_written_and_nobody_is_root(image: runtime.Image, mounts: dict[Path, str]) -> None:
    script = "id -u; id -g; for p in / /models /tmp /opt/cva; do touch $p/x 2>/dev/null && echo wrote $p; done; true"
    assert image.run(["sh", "-c", script], mounts, {}) == (0, "10001\n10001\n")


def test_it_does_not_listen_openly_without_keys(image: runtime.Image, mounts: dict[Path, str]) -> None:
    status, said = image.run(image.command, mounts, {"WEBSITES_PORT": str(free_port())})
    assert status == 2
    assert "keys" in said.lower() and "Traceback" not in said


def test_it_scores_a_picture_says_that_it_is_healthy_and_stops_when_told(
    image: runtime.Image, mounts: dict[Path, str]
) -> None:
    port = free_port()
    environment = {"WEBSITES_PORT": str(port), "CVA_KEYS_FILE": "/mnt/keys"}
    server = image.start(image.command, mounts, environment)
    try:
        wait_until_ready(port, server)
        health = image.config["Healthcheck"]["Test"][1:]
        assert image.run(health, mounts, {**environment})[0] == 0
        golden = next(path for path in mounts if mounts[path] == "/models") / "golden"
        answer = score(port, (golden / "0001.png").read_bytes())
        [expected] = json.loads((golden / "expected.json").read_text())["images"]
        assert answer == [{"filename": "image_0", "boxes": expected["boxes"]}]
        assert runtime.stop(server, signal.SIGTERM) == 0
    finally:
        runtime.end(server)


def test_a_version_that_a_pull_puts_in_place_goes_live_in_the_container(
    image: runtime.Image, mounts: dict[Path, str], tiny_bundle: Callable[..., Path], tmp_path: Path
) -> None:
    """What `cva model pull` keeps is mounted whole; the self-test runs in there too, where nothing can be written."""
    store = tmp_path / "pulled"
    for version in (1, 2):
        tiny_bundle(f"pulled/versions/{version}", created_at=f"2026-05-0{version}T10:00:00Z")
    (store / "current").symlink_to("versions/1")
    keys = next(path for path in mounts if mounts[path] == "/mnt")
    port = free_port()
    environment = {"WEBSITES_PORT": str(port), "CVA_KEYS_FILE": "/mnt/keys"}
    server = image.start(image.command, {store: "/models", keys: "/mnt"}, environment)
    try:
        assert wait_until_ready(port, server)["version"] == "1"
        (store / "next").symlink_to("versions/2")
        (store / "next").replace(store / "current")
        os.kill(runtime.inner(server), signal.SIGHUP)
        wait_until_ready(port, server, version="2")
    finally:
        runtime.end(server)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def wait_until_ready(port: int, server: subprocess.Popen[str], version: str = "") -> dict[str, str]:
    """What /health/ready says, once it says so (of `version`)."""
    said: dict[str, str] = {}
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if server.poll() is not None:
            raise AssertionError(f"the container ended: {runtime.end(server)}")
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health/ready", timeout=2) as answer:
                said = json.load(answer)
            if version in ("", said["version"]):
                return said
        except OSError:
            pass
        time.sleep(0.1)
    raise AssertionError(f"the container was not ready within a minute: {said}")


def score(port: int, picture: bytes) -> object:
    headers = {"content-type": "image/png", "x-api-key": KEY}
    request = urllib.request.Request(f"http://127.0.0.1:{port}/score", data=picture, headers=headers)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)

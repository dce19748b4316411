"""Builds the image with buildah and runs it as a container would: own mounts and processes, read-only root, the
image's own user, variables and command. Needs root and Linux; knows nothing about the server's routes.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.scoring.container.dockerfile import DOCKERFILE

BASE = "CVA_TEST_BASE_IMAGE"  # an image in buildah's own store that has python3 with venv and pip
MOUNTS = "CVA_TEST_BUILD_MOUNTS"  # paths, separated by ':', that pip needs in the build to reach its packages
BUILD_SECONDS, STOP_SECONDS = 600, 20

# Arguments: root, user, then pairs "source target" up to "--", then the command. Every mount is read-only.
_SCRIPT = """
root=$1 user=$2; shift 2
mount --bind "$root" "$root"
while [ "$1" != -- ]; do
  mount --bind "$1" "$root$2"; mount -o remount,bind,ro "$root$2"; shift 2
done; shift
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount --rbind /sys "$root/sys"
mount -o remount,bind,ro "$root"
exec setpriv --no-new-privs chroot --userspec="$user" "$root" "$@"
"""


def missing() -> str:
    """Why no image can be built here; "" where it can."""
    if not os.environ.get(BASE):
        return f"no base image to build on ({BASE})"
    if os.geteuid() != 0:
        return "building an image without a daemon needs root here"
    lacking = [name for name in ("buildah", "unshare", "setpriv", "chroot") if not shutil.which(name)]
    return f"building an image needs {', '.join(lacking)}" if lacking else ""


@dataclass(frozen=True)
class Image:
    name: str
    config: Mapping[str, Any]  # User, Env, Entrypoint, Cmd, Healthcheck, ... as in the image's own document
    root: Path

    @property
    def command(self) -> list[str]:
        return [*self.config["Entrypoint"], *self.config["Cmd"]]

    def start(
        self,
        command: Sequence[str],
        mounts: Mapping[Path, str],
        environment: Mapping[str, str],
    ) -> subprocess.Popen[str]:
        pairs = [str(part) for pair in mounts.items() for part in pair]
        variables = [*self.config["Env"], *(f"{name}={value}" for name, value in environment.items())]
        inside = ["env", "-i", "-C", self.config["WorkingDir"], *variables, *command]
        isolated = ["unshare", "--mount", "--pid", "--fork", "--propagation", "private"]
        return subprocess.Popen(
            [*isolated, "sh", "-ec", _SCRIPT, "sh", str(self.root), self.config["User"], *pairs, "--", *inside],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(
        self, command: Sequence[str], mounts: Mapping[Path, str], environment: Mapping[str, str]
    ) -> tuple[int, str]:
        """Its exit status and what it said."""
        process = self.start(command, mounts, environment)
        try:
            said, _ = process.communicate(timeout=60)
        finally:
            end(process)
        return process.returncode, said


@contextmanager
def built(context: Path, name: str = "localhost/cva-scoring-test") -> Iterator[Image]:
    """The image made of `context`; it, its container and its layers are removed afterwards."""
    volumes = [f"--volume={path}:{path}:ro" for path in os.environ.get(MOUNTS, "").split(":") if path]
    base = f"--build-arg=BASE={os.environ[BASE]}"
    where = ["--format=docker", "--network=host", "--pull-never", f"--file={DOCKERFILE}", f"--tag={name}", str(context)]
    _buildah("bud", *volumes, base, *where)
    container = _buildah("from", "--pull-never", name)
    try:
        config = json.loads(_buildah("inspect", "--type", "image", name))["Docker"]["config"]
        yield Image(name, config, Path(_buildah("mount", container)))
    finally:
        _buildah("rm", container)
        _buildah("rmi", name)


def inner(process: subprocess.Popen[str]) -> int:
    """The pid, seen from here, of the container's first process."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return int(children[0])


def stop(process: subprocess.Popen[str], number: int) -> int:
    """Signal the container's first process as a container engine does; its exit status."""
    os.kill(inner(process), number)
    return process.wait(timeout=STOP_SECONDS)


def end(process: subprocess.Popen[str]) -> str:
    """Whatever state it is in: with its first process the whole container ends. What it said."""
    try:
        os.kill(inner(process), signal.SIGKILL)
    except (IndexError, OSError):  # it has ended, or has not begun
        process.kill()
    with process:
        return process.stdout.read() if process.stdout and not process.stdout.closed else ""


def _buildah(*arguments: str) -> str:
    with tempfile.TemporaryDirectory() as scratch:
        surroundings = {**os.environ, "BUILDAH_ISOLATION": "chroot", "TMPDIR": scratch}
        started = time.monotonic()
        done = subprocess.run(
            ["buildah", *arguments],
            capture_output=True,
            text=True,
            timeout=BUILD_SECONDS,
            env=surroundings,
            check=False,
        )
    if done.returncode:
        took = time.monotonic() - started
        raise RuntimeError(
            f"buildah {arguments[0]} failed after {took:.0f} s: {done.stdout[-2000:]}{done.stderr[-2000:]}"
        )
    return done.stdout.strip()

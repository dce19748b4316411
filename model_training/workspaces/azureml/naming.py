"""What Azure ML takes as a name, and how it writes the place of an image. Checked before the first call; opens nothing.

Narrower than the rule that every workspace has (`names.py`): no dots in data sets, experiments and models, since one of
the two generations of the service refuses them.
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from urllib.parse import urlsplit

from model_training.workspaces.azureml.service import Container, Place
from model_training.workspaces.names import check_name
from model_training.workspaces.references import SUFFIXES
from scoring.errors import IntegrityError, UsageError

PARTS = {"train": "-train", "validation": "-val", "test": "-test"}  # how derived data sets are called
LONGEST_DATASET = 100 - max(map(len, PARTS.values()))
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
_DATASTORE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_]{0,99}")
_CONTAINER = re.compile(r"(?!.*--)[a-z0-9][a-z0-9-]{1,61}[a-z0-9]|\$web|\$root")
_HOST = re.compile(r"([a-z0-9]{3,24})\.blob\.core\.windows\.net")


def check_azure_name(name: str, what: str) -> str:
    """Of a data set, model or experiment. Raises: UsageError."""
    check_name(name, what)
    if not _PLAIN.fullmatch(name):
        raise UsageError(
            f"{what} {name!r}: Azure ML takes letters, digits, '_' and '-' there, no '.'",
            hint=f"for example {re.sub('[^A-Za-z0-9_-]', '_', name)}",
        )
    return name


def check_dataset_name(name: str) -> str:
    """Of a data set that is made here: its parts get names of their own, which must fit too. Raises: UsageError."""
    check_azure_name(name, "dataset")
    if len(name) > LONGEST_DATASET:
        raise UsageError(
            f"dataset {name!r}: expected at most {LONGEST_DATASET} letters, found {len(name)}",
            hint=f"its parts are called NAME{', NAME'.join(PARTS.values())} and must fit into 100",
        )
    ending = next((suffix for suffix in SUFFIXES if name.endswith(suffix)), "")
    if ending:
        raise UsageError(
            f"dataset {name!r}: names that end with {ending} are those of a data set's parts",
            hint=f"for example {name.removesuffix(ending)}",
        )
    return name


def check_datastore_name(name: str) -> str:
    """Raises: UsageError."""
    if not _DATASTORE.fullmatch(name):
        raise UsageError(
            f"datastore {name!r}: expected 1 to 100 letters, digits or '_', the first a letter or digit",
            hint="choose another name",
        )
    return name


def container_of(name: str, root: str) -> Container:
    """The blob container that `root` (https://ACCOUNT.blob.core.windows.net/CONTAINER) means.

    Raises: UsageError; the address is not repeated, it may hold a key.
    """
    example = "give https://ACCOUNT.blob.core.windows.net/CONTAINER; access is by your identity and Storage Blob roles"
    parts = urlsplit(root)
    if parts.query or parts.fragment or "@" in parts.netloc:
        raise UsageError(
            "expected the plain address of a container, found one with a signature or key in it", hint=example
        )
    host, container = _HOST.fullmatch(parts.netloc), parts.path.strip("/")
    if parts.scheme != "https" or not host or not _CONTAINER.fullmatch(container):
        kind = f"{parts.scheme}://{parts.netloc}" if parts.scheme else "a path"
        raise UsageError(f"expected the address of a blob container, found {kind}", hint=example)
    return Container(name, host[1], container)


def image_url(place: Place, datastore: str, path: str) -> str:
    """The long form (CONTRACTS 2), which names the workspace too: what AutoML reads in an MLTable."""
    workspace = f"subscriptions/{place.subscription_id}/resourcegroups/{place.resource_group}"
    return f"azureml://{workspace}/workspaces/{place.workspace_name}/datastores/{datastore}/paths/{path}"


def older_image_url(datastore: str, path: str) -> str:
    """The short form, as Azure documents it for data sets of SDK v1."""
    return f"AmlDatastore://{datastore}/{path}"


def inside(path: str, datastore: str) -> str:
    """`path` when it stays within its container. Raises: IntegrityError."""
    parts = PurePosixPath(path).parts
    if not parts or ".." in parts or PurePosixPath(path).is_absolute() or "\0" in path:
        raise IntegrityError(f"{path!r} leads out of datastore {datastore!r}", hint="give a path below its container")
    return path

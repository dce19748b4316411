"""Which names the fake answers for, and what kind of service each is. Every other name is refused."""

from __future__ import annotations

import re

KINDS = {
    r"management\.azure\.com": "arm",
    r"login\.microsoftonline\.com": "login",
    r"(ml\.azure\.com|[a-z0-9.-]+\.inference\.ml\.azure\.com)": "azureml",
    r"([a-z0-9.-]+\.)?api\.azureml\.ms|[a-z0-9.-]+\.azureml\.ms": "azureml",
    r"(vstoken\.)?dev\.azure\.com": "devops",
    r"graph\.(microsoft\.com|windows\.net)": "graph",
    r"[a-z0-9]{3,24}\.blob\.core\.windows\.net": "blob",
}
METADATA = "169.254.169.254"  # plain HTTP; asked through the proxy
LOOPBACK = ("127.0.0.1", "localhost")


def kind_of(host: str) -> str | None:
    """None for a host that is refused."""
    name = host.lower().rstrip(".")
    return next((kind for pattern, kind in KINDS.items() if re.fullmatch(pattern, name)), None)

"""Access tokens and federated tokens of the fake: signed by a key of its own, so that a check is a real one."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec

EXCHANGE = "api://AzureADTokenExchange"
ARM = ("https://management.azure.com", "https://management.core.windows.net")
ML = ("https://ml.azure.com",)
STORAGE = ("https://storage.azure.com",)
GRAPH = ("https://graph.microsoft.com", "https://graph.windows.net")
RESOURCES = (*ARM, *ML, *STORAGE, *GRAPH)

DEVOPS_ISSUER = "https://vstoken.dev.azure.com/fake-organization"


class TokenError(Exception):
    """`reason` is one of: malformed, expired, audience."""

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason


class Tokens:
    """Issues (each token is told to `issued`) and checks. `lifetime` is what a client is told; `skew` is added to what
    is written into the token.
    """

    def __init__(self, tenant: str, issued: Callable[[str], None] = lambda token: None) -> None:
        self.tenant = tenant
        self._issued = issued
        self.lifetime = 3599
        self.skew = 0  # -7200: clients believe in tokens that every service refuses as expired
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._public = self._key.public_key()

    def access(self, audience: str, *, object_id: str, client_id: str, **more: Any) -> str:
        """An access token as Entra issues it for an application or a managed identity."""
        claims = {"aud": audience, "iss": f"https://sts.windows.net/{self.tenant}/", "tid": self.tenant}
        identity = {"oid": object_id, "sub": object_id, "appid": client_id, "idtyp": "app", "ver": "1.0"}
        return self._signed({**claims, **identity, "uti": uuid.uuid4().hex, **more}, self.lifetime)

    def federated(self, subject: str, *, issuer: str = DEVOPS_ISSUER, seconds: int = 600) -> str:
        """The id token that a service connection hands to a task; it lives ten minutes."""
        return self._signed({"aud": EXCHANGE, "iss": issuer, "sub": subject, "jti": uuid.uuid4().hex}, seconds)

    def claims(self, token: str, audiences: tuple[str, ...] | None) -> Mapping[str, Any]:
        """Raises: TokenError for a token that is not ours, has expired, or is meant for somebody else."""
        try:
            claims: dict[str, Any] = jwt.decode(token, self._public, algorithms=["ES256"], options=_WITHOUT_AUDIENCE)
        except jwt.ExpiredSignatureError:
            raise TokenError("expired", "the token has expired") from None
        except jwt.PyJWTError as error:
            raise TokenError("malformed", f"not a token of this authority: {error}") from None
        if audiences is not None and str(claims.get("aud", "")).rstrip("/") not in audiences:
            raise TokenError("audience", f"the audience is {claims.get('aud')}, expected one of {', '.join(audiences)}")
        return claims

    def _signed(self, claims: Mapping[str, Any], seconds: int) -> str:
        now = int(time.time()) + self.skew
        times = {"iat": now - 60, "nbf": now - 60, "exp": now + seconds}
        token = jwt.encode({**claims, **times}, self._key, algorithm="ES256")
        self._issued(token)
        return token


_WITHOUT_AUDIENCE: Any = {"verify_aud": False, "require": ["exp"]}

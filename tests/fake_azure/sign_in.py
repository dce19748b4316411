"""`az login --service-principal --federated-token`, by azure-cli-core itself: what AzureCLI@2 does before a script.

Run as a program with servicePrincipalId, tenantId and idToken in the environment.
"""

from __future__ import annotations

import os


def main() -> None:
    from azure.cli.core import get_default_cli
    from azure.cli.core._profile import Profile
    from azure.cli.core.auth.identity import ServicePrincipalAuth

    names = ("servicePrincipalId", "tenantId", "idToken")  # the task's own spelling
    client, tenant, token = (os.environ[name] for name in names)
    credential = ServicePrincipalAuth.build_credential(client_assertion=token)
    Profile(cli_ctx=get_default_cli()).login(False, client, credential, True, tenant)


if __name__ == "__main__":
    main()

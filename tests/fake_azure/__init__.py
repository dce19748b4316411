"""A fake of Azure on loopback: Entra, ARM, Azure ML, DevOps, the metadata service; blobs are real ones in Azurite.

The SDK clients are unmodified and use production names: they reach the fake through a CONNECT proxy that refuses every
other host, and trust its throw-away authority. Nothing here knows the code under test.

A test takes the fixture `azure` (fixtures.py; one server a session, a fresh `state` a test) and drives subprocesses:

    environment = azure.signed_in()                  # as an AzureCLI@2 task leaves it; azure.environment() is before it
    environment = azure.on_cluster()                 # a step on a cluster with a managed identity
    azure.state.models, .runs, .endpoints …          # what the workspace holds (state.py), the same for v1 and v2
    azure.fail_next("POST", r"/Pipelines/Create", 429, headers={"Retry-After": "1"}, times=2)      # faults.py
    azure.requests, azure.refused, azure.unknown     # what was asked (log.py), refused hosts, routes nobody has

Routes: a module of `v1/` or `v2/` (or of this folder) has a table; `load_tables` finds it by itself:

    ROUTES = Routes("azureml")                       # arm | azureml | login | devops | graph | loopback: see hosts.py

    @ROUTES.route("GET", r"/datastore/v1.0{WS}/datastores/(?P<name>[^/]+)")
    def datastore(azure: FakeAzure, request: Request, name: str) -> Answer:
        found = azure.state.datastores.get(name)
        if found is None:
            raise azureml_error(404, "UserError", f"no datastore {name}")      # arm_error, … of messages.py
        return {"name": found.name}                  # a JSON value, or Reply(status, body, headers), or None: 204

`{WS}` is the workspace's ARM path (another one gives Azure's own 404), patterns match the whole path, case ignored;
named groups come unquoted. Before a handler runs, checks.py has looked at the token (signature, audience, expiry) and,
for ARM, at the api-version; `route(…, audience=ML)` narrows the audience, `audience=None` opens a route. Handlers run
one at a time. `request.json()`, `.query`, `.claims`. A route that nobody has answers 501 and is kept in `unknown`.
Blob contents: `azure.blobs` (put, get, list, delete, sas_url): what the service itself would do with its storage.
"""

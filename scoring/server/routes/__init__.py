"""One file a group of routes, each with `router(context) -> APIRouter`; what they share is in scoring.server.http."""

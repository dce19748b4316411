"""The exception tree of `scoring.errors`, by the name that this package's modules use."""

from scoring.errors import (
    CancelledError,
    ConflictError,
    CvaError,
    DataError,
    ImageError,
    IncompatibleError,
    IntegrityError,
    NotFoundError,
    StorageError,
    TrainingError,
    UsageError,
)

__all__ = [
    "CancelledError",
    "ConflictError",
    "CvaError",
    "DataError",
    "ImageError",
    "IncompatibleError",
    "IntegrityError",
    "NotFoundError",
    "StorageError",
    "TrainingError",
    "UsageError",
]

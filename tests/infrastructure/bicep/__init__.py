"""A check of Bicep files where no compiler can be had: syntax, symbols, Azure's published types, modules, policy.

`check(root, types)` reads `root/infrastructure/*.bicep`, its modules and its parameters files and says what is wrong.
It is no compiler: plain declarations, expressions, loops and conditions are understood; user-defined types and
functions, imports, extensions and nested resources are refused as findings rather than passed over.
"""

from tests.infrastructure.bicep.check import check
from tests.infrastructure.bicep.finding import Finding

__all__ = ["Finding", "check"]

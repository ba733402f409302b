"""What a package says of a function of the user's that it names by import path."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, WithJsonSchema

from inference_core.validation import HOOK_TAG, Frozen

_ATTRIBUTE = r":\w+(\.\w+)*$"
MODULE_PATH = re.compile(rf"^\w+(\.\w+)*{_ATTRIBUTE}")
"""Of a function in the user's environment."""
FILE_PATH = re.compile(rf"^\./(\w+/)*\w+\.py{_ATTRIBUTE}")
"""Of a function in a file of the package itself."""


def check_import_path(path: str) -> str:
    """The path.

    Raises:
        ValueError: it is of neither kind.
    """
    if not (MODULE_PATH.fullmatch(path) or FILE_PATH.fullmatch(path)):
        raise ValueError(
            f"must be package.module:function, or ./file.py:function for a file below the package, got {path!r}; "
            "correct it"
        )
    return path


def package_file(import_path: str) -> str | None:
    """The file below the package that an import path names; None where it leads into the user's environment."""
    return import_path.partition(":")[0].removeprefix("./") if FILE_PATH.fullmatch(import_path) else None


ImportPath = Annotated[
    str,
    AfterValidator(check_import_path),
    WithJsonSchema({"type": "string", "pattern": f"({MODULE_PATH.pattern})|({FILE_PATH.pattern})"}),
]


class HookSpec(Frozen):
    """A function by import path, and its options."""

    name: Literal["hook"] = "hook"
    """Tells it from what is built in; need not be written."""
    import_path: ImportPath = Field(alias="import")
    """``package.module:function`` in the user's environment, or ``./file.py:function`` in the package, which runs only
    where its code is trusted."""
    options: dict[str, Any] = Field(default_factory=dict)
    """Keyword arguments of the function."""


def read_hook(entry: Any) -> Any:
    """``{import: ...}`` with the name that tells it from what is built in; anything else as it is."""
    return {"name": HOOK_TAG, **entry} if isinstance(entry, dict) and "import" in entry else entry

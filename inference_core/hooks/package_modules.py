"""Import a package's own files from their bytes: they need not lie on a disk, and none is written."""

from __future__ import annotations

import importlib
import importlib.util
import logging
import sys
import threading
from collections.abc import Sequence
from importlib.abc import InspectLoader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import CodeType, ModuleType

from inference_core.hooks.package_code import PackageCode
from inference_core.provenance import digest_of

LOGGER = logging.getLogger(__name__)
"""Says which code of a package from elsewhere is run; without a handler that is a line on standard error."""
_LOCK = threading.Lock()


def import_package_file(code: PackageCode, path: str) -> ModuleType:
    """Run a file of a package as a module, once for each process and set of files. Code of a package that is not on
    this machine is said aloud first.

    Args:
        code: trusted; the caller has checked it.
        path: of the file below the package.

    Raises:
        Exception: whatever the file raises.
    """
    root = f"millrace_package_{digest_of([code.origin, code.digests()])[:16]}"
    with _LOCK:
        if not any(isinstance(finder, PackageFinder) and finder.root == root for finder in sys.meta_path):
            sys.meta_path.append(PackageFinder(root, code))
            if code.is_remote:
                LOGGER.warning("running code of the model package %s: %s", code.origin, code.describe())
    return importlib.import_module(".".join([root, *path.removesuffix(".py").split("/")]))


class PackageFinder(MetaPathFinder, InspectLoader):
    """Finds and loads the modules of one set of files.

    Args:
        root: name of the package that stands for the model package's folder; of its place and the files' digest, so
            that changed files are other modules.
        code: the files.
    """

    def __init__(self, root: str, code: PackageCode) -> None:
        self.root = root
        self._code = code

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """A module for each file and a package for each folder."""
        if fullname != self.root and not fullname.startswith(f"{self.root}."):
            return None
        if not self.is_package(fullname) and self._path_of(fullname) not in self._code:
            return None
        return importlib.util.spec_from_loader(fullname, self, origin=self._place_of(fullname))

    def is_package(self, fullname: str) -> bool:
        """Whether the name is that of a folder."""
        folder = self._path_of(fullname).removesuffix(".py")
        return folder == "" or any(path.startswith(f"{folder}/") for path in self._code)

    def get_source(self, fullname: str) -> str:
        """A file's text, also for tracebacks; nothing for a folder."""
        path = self._path_of(fullname)
        return importlib.util.decode_source(self._code[path]) if path in self._code else ""

    def get_code(self, fullname: str) -> CodeType:
        """A file compiled under the name of its place, which tracebacks show."""
        return self.source_to_code(self.get_source(fullname), self._place_of(fullname))

    def _path_of(self, fullname: str) -> str:
        names = fullname.split(".")[1:]
        return f"{'/'.join(names)}.py" if names else ""

    def _place_of(self, fullname: str) -> str:
        return f"{self._code.origin}/{self._path_of(fullname)}"

"""Millrace's core: images in, predictions out, on one machine and without Ray.

Importing this package loads neither torch nor Ray.
"""

from __future__ import annotations

__version__ = "0.1.0"

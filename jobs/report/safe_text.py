"""Texts of strangers made harmless; see ``inference_core.safe_text``."""

from __future__ import annotations

from inference_core.safe_text import FORMULA_STARTS, csv_cell, visible_text

__all__ = ["FORMULA_STARTS", "csv_cell", "visible_text"]

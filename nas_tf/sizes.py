"""Sizes of images and maps."""

from typing import TypeAlias

Size: TypeAlias = tuple[int, int]
"""Height and width."""

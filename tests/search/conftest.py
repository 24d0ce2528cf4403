"""Prepared data of these tests is apart from the user's own, and is prepared once."""

from tests.training.conftest import cache_folder

__all__ = ["cache_folder"]

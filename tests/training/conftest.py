"""Keeps prepared data of the tests apart from the user's own."""

from collections.abc import Iterator

import pytest

from tests.prepared import shared_cache


@pytest.fixture(scope="session", autouse=True)
def cache_folder() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NAS_TF_CACHE", str(shared_cache()))
        yield

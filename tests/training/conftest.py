"""Prepared data of the tests lies apart from the user's own."""

from collections.abc import Iterator

import pytest

from tests.prepared import with_shapes


@pytest.fixture(scope="session", autouse=True)
def cache_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NAS_TF_CACHE", str(with_shapes(tmp_path_factory.mktemp("prepared"))))
        yield

"""The page of errors lists the exit codes that there are."""

import re
from pathlib import Path

from nas_tf import errors

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "errors.md"


def test_the_table_of_exit_codes_is_that_of_the_errors() -> None:
    rows = re.findall(r"^\| (\d+) \| (.*?) ?\| .+ \|$", PAGE.read_text(), re.MULTILINE)
    listed = {name: int(code) for code, names in rows for name in re.findall(r"`(\w+)`", names)}
    kinds = [errors.NasTfError, *errors.NasTfError.__subclasses__()]
    own = {kind.__name__: kind.exit_code for kind in kinds if kind.__module__ == "nas_tf.errors"}
    assert listed == own
    assert {code for code, names in rows if not names} == {"0", "130"}

"""Addresses: ids in them are data, never code."""

import pytest

from ui import address


@pytest.mark.parametrize("hostile", ["';alert(1)//", "</script><b>", "`${x}`", "\\n", "é\u2028"])
def test_no_id_can_leave_its_place_in_the_script(hostile, monkeypatch):
    scripts = []
    monkeypatch.setattr(address.st, "html", lambda text, **options: scripts.append(text))
    address.complete([hostile])
    address.complete([])
    # Percent-encoding leaves letters, digits and a few signs that mean nothing in a string.
    with_id, without = scripts
    before, after = without.split("?ids=")
    assert with_id.startswith(before + "?ids=")
    assert with_id.endswith(after)
    encoded = with_id.removeprefix(before + "?ids=").removesuffix(after)
    assert encoded
    assert set(encoded) <= set(
        "%-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    )

"""Bodies within their limits, whatever pieces they come in."""

from __future__ import annotations

import gzip
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.bodies import MAX_INFLATED, Inflate
from edge.errors import RequestError


@given(st.lists(st.binary(max_size=2000), min_size=1, max_size=3), st.integers(1, 50))
def test_any_pieces_of_any_members_give_the_text(texts: list[bytes], size: int) -> None:
    packed = b"".join(gzip.compress(text) for text in texts)
    inflate = Inflate()
    found = b"".join(inflate.feed(packed[start : start + size]) for start in range(0, len(packed), size))
    inflate.finish()
    assert found == b"".join(texts)


def test_a_bomb_stops_at_the_limit() -> None:
    bomb = zlib.compress(b"0" * (MAX_INFLATED + 1), wbits=31)
    with pytest.raises(RequestError) as caught:
        Inflate().feed(bomb)
    assert caught.value.status == 413
    assert len(Inflate().feed(zlib.compress(b"0" * MAX_INFLATED, wbits=31))) == MAX_INFLATED


@pytest.mark.parametrize("packed", [b"no gzip", gzip.compress(b"x") + b"rest"], ids=["none", "more"])
def test_what_is_no_gzip(packed: bytes) -> None:
    with pytest.raises(RequestError) as caught:
        Inflate().feed(packed)
    assert caught.value.status == 400


def test_a_stream_that_was_cut() -> None:
    inflate = Inflate()
    inflate.feed(gzip.compress(b"x" * 1000)[:-4])
    with pytest.raises(RequestError):
        inflate.finish()

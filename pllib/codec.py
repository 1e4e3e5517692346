"""The accelerated codec of ``pllib[fast]``: orjson, where it writes the very bytes that the standard library does.

It writes other ones for characters beyond ASCII, for NaN and for some small numbers. Records that may hold such are left to the
standard library.
"""

from __future__ import annotations

import json
from typing import Any, Callable, Dict, List, Optional, Tuple

from .packing import FloatTexts

Encode = Callable[[str, Dict[str, Any]], Optional[bytes]]

SAMPLE = {
    "floats": [0.0, -0.0, 0.1, 1 / 3, 1e-4, 2.0**70, 1e15, 1e16, 1.5e22, 1e100, -1.7976931348623157e308],
    "integers": [0, -1, 2**53 + 1, 2**63 - 1, -(2**63)],
    "texts": ["", "a/b<&>", '"\\', "".join(map(chr, range(32)))],
    "more": {"": {}, "a": [], "b": [True, False, [1, [2]]]},
}


def fast_encoder() -> Optional[Encode]:
    """What makes a record's JSON of its begin and its fields, or ``None`` where it may be other than the standard library's.

    ``None`` when there is no orjson, or one that writes otherwise than is known here.
    """
    try:
        import orjson
    except ImportError:
        return None
    return _encoder(
        orjson.dumps,
        orjson.OPT_PASSTHROUGH_SUBCLASS | orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME,
    )


def fast_float_texts() -> FloatTexts:
    """What makes the texts of floats, each that of the standard library; it gives ``None`` where they may be others.

    To be asked for only where there is a ``fast_encoder``.
    """
    import orjson

    dumps = orjson.dumps

    def texts(floats: Tuple[float, ...]) -> Optional[List[bytes]]:
        text = dumps(floats)
        suspect = b"e-" in text or b"0.0000" in text or b"null" in text
        return None if suspect else text[1:-1].split(b",")

    return texts


def _encoder(dumps: Callable[[Any, None, int], bytes], options: int) -> Optional[Encode]:
    if dumps(SAMPLE, None, options) != json.dumps(SAMPLE, separators=(",", ":")).encode():
        return None

    def encode(head: str, parts: Dict[str, Any]) -> Optional[bytes]:
        if not parts:
            return None
        try:
            text = dumps(parts, None, options)
        except TypeError:
            return None
        # What may be written in another way, or stand for what is no JSON.
        if not text.isascii() or b"e-" in text or b"0.0000" in text or b"null" in text or b"\x7f" in text:
            return None
        return b"%b,%b" % (head.encode("ascii"), text[1:])

    return encode

r"""How the name of a file is written where people and other programs read it.

The name of a file is bytes, and any of them but `/` and zero. Python holds bytes that are no UTF-8
as lone surrogates, which no text file, table, picture or terminal takes. The rule here: a file is
opened by its true name, and wherever that is written it has gone through `name_text`, which shows
such a byte as `\xNN`. In a sentence it has gone through `one_line` too, so that a name with a line
break, or with codes that steer a terminal, stays a name.
"""

import os
import re

_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def name_text(name: str | os.PathLike) -> str:
    r"""Writes a name as text that is UTF-8: a byte that is none becomes `\xNN`."""
    return _LONE_SURROGATE.sub(_write_byte, str(name))


def one_line(text: str | os.PathLike) -> str:
    r"""Writes a name, or a sentence that has one, as text of one line: `\n` for a line break."""
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), name_text(text))


def slash_hint(path: str | os.PathLike) -> str:
    """Ends a sentence about a file that is not there, if its path is written as on Windows."""
    if os.sep == "\\" or "\\" not in str(path):
        return ""
    return r"; its folders are parted by \, as on Windows: here, write /"


def _write_byte(found: re.Match) -> str:
    # Python puts the byte NN at U+DCNN; other surrogates come from no file name.
    code = ord(found[0])
    return f"\\x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else f"\\u{code:04x}"

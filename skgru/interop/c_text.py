"""Pieces of C code: loops, declarations, arrays and strings."""

from collections.abc import Iterable, Iterator
from textwrap import wrap
from typing import Any

import numpy as np

from skgru.sequences import short


def for_(n: int, statement: str) -> list[str]:
    """Return a loop of a statement over j from 0 to n - 1."""
    return [f"for (j = 0; j < {n}; j++)", f"    {statement}"]


def at(array: str, offset: int) -> str:
    """Return the expression for element j after an offset of an array."""
    return f"{array}[{offset} + j]" if offset else f"{array}[j]"


def activated(numbers: str, n: int, function: str, limit: int) -> Iterator[str]:
    """Yield the statements that apply σ or tanh to n numbers."""
    yield from for_(n, f"{numbers} = @limited({numbers}, {limit}.0f);")
    yield from for_(n, f"{numbers} = {function}({numbers});")


def add_product(x: str, n_rows: int, weights: str, n_columns: int, sums: str) -> Iterator[str]:
    """Yield the statements of sums += x weights.

    Four rows at a time, so that the sums are loaded and stored less often.
    """
    for start, stop, n in ((0, n_rows - n_rows % 4, 4), (n_rows - n_rows % 4, n_rows, 1)):
        if start == stop:
            continue
        rows = ["i" if not i else f"i + {i}" for i in range(n)]
        terms = [f"{x}[{row}] * {weights}[{row}][j]" for row in rows]
        yield f"for (i = {start}; i < {stop}; i += {n})"
        yield f"    for (j = 0; j < {n_columns}; j++)"
        yield f"        {sums} += {terms[0]}" + ";" * (n == 1)
        yield from (f"            + {term}" + ";" * (term is terms[-1]) for term in terms[1:])


# longest string that every compiler of C99 accepts, in bytes, and bytes per line of code
MAX_STRING, STRING_PART = 4095, 20


def string(label: Any) -> str:
    """Return a label as a C string literal, in parts if it is long; escape special characters."""
    text = str(label).encode("utf-8", "surrogatepass")
    if b"\0" in text:
        raise ValueError(f"The label {short(label)} has a NUL, at which a string ends in C.")
    if len(text) > MAX_STRING:
        raise ValueError(
            f"The label {short(label)} takes {len(text)} bytes in UTF-8; C99 allows {MAX_STRING}. "
            "Fit with shorter labels."
        )
    # octal escapes have at most three digits, unlike hexadecimal ones; "?" may start a trigraph
    special = b'"\\?@'
    escaped = [chr(c) if 32 <= c < 127 and c not in special else f"\\{c:03o}" for c in text]
    if len("".join(escaped)) <= 4 * STRING_PART:
        return '"' + "".join(escaped) + '"'
    starts = range(0, len(escaped), STRING_PART)
    parts = ["".join(escaped[i : i + STRING_PART]) for i in starts]
    # in parentheses, a compiler does not suspect a comma missing
    return "(" + "\n         ".join(f'"{part}"' for part in parts) + ")"


def declarations(arrays: dict[str, int]) -> str:
    """Return declarations of arrays of float, given their sizes."""
    return "".join(f"    float {name}[{n}];\n" for name, n in arrays.items())


def function(head: str, declarations: str, statements: Iterable[str]) -> str:
    """Return the definition of a function."""
    body = "".join(f"    {line}\n" for line in statements)
    return f"static inline {head}\n{{\n{declarations}\n{body}}}\n"


def array(name: str, values: np.ndarray) -> str:
    """Return the definition of an array of float, with the shortest decimals that are exact."""
    shape = "".join(f"[{n}]" for n in values.shape)
    rows = [
        "\n".join(wrap(", ".join(f"{number}f" for number in row), 96))
        for row in np.atleast_2d(values.astype(str))
    ]
    if values.ndim == 2:
        rows = [f"{{\n{row}\n}}" for row in rows]
    return f"static const float @{name}{shape} = {{\n" + ",\n".join(rows) + "\n};\n"

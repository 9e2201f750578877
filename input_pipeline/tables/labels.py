"""What a label column means, and reading it."""

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from input_pipeline.tables.cells import RESERVED_COLUMNS, name_rows, read_numbers
from input_pipeline.tables.table_files import count_of, suggest

# Kinds without a label column: what is learnt is which of two images is better.
PAIR_KINDS = ("ranking", "pairs")
LABEL_KINDS = ("binary", "ordered", "unordered", "numeric", *PAIR_KINDS)


@dataclass(frozen=True)
class LabelSpec:
    """Says what the label column means.

    Attributes:
        kind: `binary`, `ordered` (grades), `unordered` (names) or `numeric` (opinion scores); or
            of `PAIR_KINDS`, for which nothing below counts: `ranking` (clean photographs, of which
            degraded versions are compared) or `pairs` (what people preferred).
        column: name of the label column.
        classes: labels as written in the table, lowest quality first; empty for numeric labels.
        marginal: binary only: the label of images that are neither; their class index is -1.
        minimum: numeric only: lower end of the declared scale.
        maximum: numeric only: upper end of the declared scale.
        higher_is_better: numeric only: False for scales such as DMOS, which are mirrored on
            reading so that higher is better everywhere else.

    Raises:
        ValueError: the parts contradict each other.
    """

    kind: str
    column: str = "label"
    classes: tuple[str, ...] = ()
    marginal: str = ""
    minimum: float | None = None
    maximum: float | None = None
    higher_is_better: bool = True

    def __post_init__(self):
        if self.kind not in LABEL_KINDS:
            raise ValueError(
                f"label kind {self.kind!r} is not one of {', '.join(LABEL_KINDS)}"
                f"{suggest(self.kind, LABEL_KINDS)}"
            )
        if not self.column or self.column in RESERVED_COLUMNS:
            raise ValueError(
                f"the label column cannot be called {self.column!r}: a manifest uses "
                f"{', '.join(RESERVED_COLUMNS)} for other things; rename the column"
            )
        names = [*self.classes, self.marginal] if self.marginal else [*self.classes]
        if not all(isinstance(name, str) and name and name == name.strip() for name in names):
            raise ValueError(f"labels must be text without spaces around it, not {names}")
        if len(set(names)) < len(names):
            raise ValueError(f"a label appears twice in {names}")
        if self.marginal and self.kind != "binary":
            raise ValueError(f"a marginal label needs the label kind binary, not {self.kind}")
        if self.is_of_pairs:
            if self.classes:
                raise ValueError(f"{self.kind} has no classes, not {list(self.classes)}")
        elif self.is_numeric:
            self._check_scale()
        elif self.kind == "binary" and len(self.classes) != 2:
            raise ValueError(
                f"binary labels need exactly two classes, lowest quality first, "
                f"not {list(self.classes)}"
            )
        elif len(self.classes) < 2:
            raise ValueError(
                f"{self.kind} labels need at least two classes, not {list(self.classes)}"
            )

    def _check_scale(self):
        if self.classes:
            raise ValueError(f"numeric labels have no classes, not {list(self.classes)}")
        low, high = self.minimum, self.maximum
        if low is None or high is None or not -math.inf < low < high < math.inf:
            raise ValueError(
                f"numeric labels need the scale's minimum below its maximum, "
                f"not {self.minimum} and {self.maximum}"
            )

    @property
    def is_of_pairs(self) -> bool:
        """Whether an image alone has no label."""
        return self.kind in PAIR_KINDS

    @property
    def is_numeric(self) -> bool:
        """Whether labels are scores on the declared scale, not classes."""
        return self.kind == "numeric"

    @property
    def scale(self) -> tuple[float, float]:
        """Both ends of the scale of numeric labels."""
        assert self.minimum is not None and self.maximum is not None
        return self.minimum, self.maximum

    @property
    def columns(self) -> tuple[str, ...]:
        """The column that labels are read from, or none."""
        return () if self.is_of_pairs else (self.column,)

    @property
    def names(self) -> tuple[str, ...]:
        """Every label that a row may have, lowest quality first, the marginal one in between."""
        if not self.marginal:
            return self.classes
        return (self.classes[0], self.marginal, self.classes[1])


def read_labels(
    table: pd.DataFrame, label: LabelSpec | None, problems: list[tuple[int, str]]
) -> np.ndarray:
    """Returns int32 class indices or float32 scores; adds what is wrong to `problems`."""
    if label is None or not label.columns:
        return np.full(len(table), -1, np.int32)
    text = table[label.column]
    if label.is_numeric:
        minimum, maximum = label.scale
        values = read_numbers(text, "label", problems)
        outside = (values < minimum) | (values > maximum)
        problems += [
            (row, f"label {cell} is outside the scale {minimum:g} to {maximum:g}")
            for row, cell in text[outside].items()
        ]
        if not label.higher_is_better:
            values = minimum + maximum - values
        return values.astype(np.float32)

    problems += [(row, "the label is empty") for row in text.index[text == ""]]
    unknown = text[(text != "") & ~text.isin(label.names)]
    for cell, same in unknown.groupby(unknown, sort=False):
        problems.append(
            (
                int(same.index[0]),
                f"unknown label {cell!r} in {count_of(len(same), 'row')} "
                f"({name_rows(same.index)}); "
                f"the labels are {', '.join(label.names)}{suggest(cell, label.names)}",
            )
        )
    index = {name: position for position, name in enumerate(label.classes)}
    return text.map(lambda cell: index.get(cell, -1)).to_numpy(np.int32)

"""A report with every part, and readers of its page and its Markdown, for tests."""

import re
from html.parser import HTMLParser

import numpy as np
from skimage import data

from iqa_jax.reporting.pages.pictures import Example
from iqa_jax.reporting.pages.report import (
    Confusion,
    FileError,
    Gallery,
    Headline,
    Projection,
    Reliability,
    ReliabilityCurve,
    Report,
    RiskCoverage,
    ScoreHistogram,
    ScoreScatter,
    Suspect,
    Suspects,
    Table,
)

EVIL = "<script>alert('$x^{$')</script>&\"_`|*#1 @a.jpg"
_VOID = {"meta", "br", "input", "img"}


class Page(HTMLParser):
    """Collects what the tests ask about, and fails on tags that do not close."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.texts, self.links, self.open = [], [], [], []
        self.feed(html)
        self.close()
        assert not self.open, f"unclosed: {self.open}"

    def handle_starttag(self, tag, attrs, is_closed=False):
        attrs = dict(attrs)
        self.tags.append((tag, attrs))
        self.links += [attrs[k] for k in ("href", "src", "xlink:href", "action") if k in attrs]
        if tag not in _VOID and not is_closed:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs, is_closed=True)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, text):
        if self.open and self.open[-1] != "style" and text.strip():
            self.texts.append(text.strip())

    def find(self, tag, **attrs):
        return [
            found
            for name, found in self.tags
            if name == tag and attrs.items() <= {**found, "cls": found.get("class")}.items()
        ]


def read_tables(text):
    """Reads Markdown tables: heading above -> rows of cells, the header first."""
    tables, heading = {}, ""
    for line in text.splitlines():
        if line.startswith("#"):
            heading = line.lstrip("# ")
            while heading in tables:
                heading += "'"
        if line.startswith("|"):
            # A bar after a backslash is text.
            cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
            if set(cells) - {"---", "---:"}:
                tables.setdefault(heading, []).append(cells)
    return tables


def photos(n, name="photo.jpg", **more):
    images = [data.astronaut(), data.coffee(), data.chelsea(), data.rocket()]
    for i in range(n):
        image = np.roll(images[i % 4], i, axis=1)
        origins = np.stack(np.mgrid[0:256:128, 0:384:128], axis=-1).reshape(-1, 2)
        scores = np.linspace(0, 1, len(origins))
        yield Example(
            name, image, image.shape[:2], origins, 128, scores, 0.5, "bad", "good", **more
        )


def full_report(name, dots=12):
    """Gives a report in which every part is there and every word of a user is `name`."""
    rng = np.random.default_rng(0)
    scores = {name: rng.uniform(size=30), "good": rng.uniform(size=30)}
    confidence = np.array([0.6, 0.75, 0.95])
    small = np.zeros((20, 30, 3), np.uint8)
    return Report(
        title=name,
        command=f"python main.py --workdir='{name}'",
        summary=name,
        answer=[(name, name)],
        headlines=[
            Headline("auroc", name, 0.91, name, (0.85, 0.96)),
            Headline("auroc", "holdout", None, "one class only"),
        ],
        warnings=[name],
        metrics={
            name: {name: {"n": 30, "auroc": 0.87654, "confusion": [[1]], "intervals": {}}},
            "holdout": {"vote": {"n": 12, "auroc": None, name: 1.0}},
        },
        headline_fusion=name,
        intervals={name: {"auroc": (0.80123, 0.92678)}},
        interval_note=name,
        three_class={name: {"n": 31, "macro_f1": 0.5}},
        history=[
            {"step": 1, "train/loss": 0.7, "learning_rate": 1e-4},
            {"step": 2, "train/loss": 0.5, "val/loss": None, f"{name}/loss": float("nan")},
            {"step": 3, "train/loss": 0.4, "val/loss": 0.6, f"{name}/loss": 0.3},
        ],
        best_step=2,
        confusions=[Confusion(name, [name, "good"], [[3, 1], [0, 0]])],
        reliabilities=[
            Reliability(
                name,
                [
                    ReliabilityCurve(name, confidence, confidence - 0.1, np.array([3, 5, 8]), 0.1),
                    ReliabilityCurve("scaled", confidence, confidence, np.array([3, 5, 8]), None),
                ],
            )
        ],
        histograms=[ScoreHistogram(name, scores, {name: 0.3, "good from": 0.7})],
        scatters=[
            ScoreScatter(
                name,
                rng.uniform(size=50),
                rng.uniform(size=50),
                np.array([[0, 0.2], [1, 0.8]]),
                name,
            )
        ],
        coverages=[RiskCoverage(name, np.array([0.5, 1.0]), np.array([0.1, 0.25]), name, 0.175)],
        mistakes=[Gallery(name, name, [*photos(2, name, maps={name: small}, note=name)])],
        extremes=[Gallery(name, name, [*photos(1, name)])],
        uncertain=[Gallery(name, name, [*photos(1, name)])],
        suspects=Suspects(name, name, [Suspect(name, name, name, name, 0.0123, small)]),
        projections=[
            Projection(
                name,
                name,
                rng.normal(size=(dots, 2)),
                [name] * dots,
                [name if i % 2 else "test" for i in range(dots)],
                rng.uniform(size=dots),
                [small] * dots,
                [name if i % 3 else "good" for i in range(dots)],
                purity=Table(name, [name, "purity"], [[name, 0.75], ["split", None]]),
            )
        ],
        localisation=[Table(name, [name, "pixel AUC"], [[name, 0.8123]], name)],
        audit=name,
        errors=[FileError(name, name)],
        config=f'{{"path": "{name}"}}',
        versions={"jax": "0.10.2", name: name},
    )

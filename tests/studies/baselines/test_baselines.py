"""Baselines: fitted on no tested row, right where the truth is planted."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from baseline_rows import open_rows
from iqa_jax.studies.baselines import BASELINES
from iqa_jax.studies.baselines.rows import Rows
from tiny import make_tiny_config


@pytest.fixture(scope="module")
def fitted(blurred, tiny_manifest):
    """The BRISQUE baseline, and what it answers."""
    train, test = open_rows(blurred)
    predict = BASELINES["brisque_svr"](make_tiny_config(tiny_manifest), train, blurred.parent)
    return predict, test, predict(test)


def test_blur_of_an_unseen_photo_is_ranked(fitted):
    predict, test, answers = fitted
    assert list(answers.errors) == [""] * 10
    assert stats.spearmanr(answers.scores, test.labels).statistic > 0.9
    # Each answer is its image's own.
    alone = predict(Rows(test.manifest, test.source, test.image_ids[3:4]))
    np.testing.assert_allclose(alone.scores, answers.scores[3:4])


def test_what_is_tested_has_no_part_in_the_fit(fitted, blurred, tiny_config, tmp_path):
    table = pd.read_csv(blurred)
    table["path"] = [str(blurred.parent / path) for path in table["path"]]
    is_test = table["split"] == "test"
    table.loc[is_test, "label"] = table["label"][is_test].to_numpy()[::-1]
    other = tmp_path / "other.csv"
    table.to_csv(other, index=False)
    train, test = open_rows(other)
    found = BASELINES["brisque_svr"](tiny_config, train, tmp_path)
    np.testing.assert_array_equal(found(test).scores, fitted[2].scores)


def test_a_bad_image_has_an_error_and_leaves_the_others_alone(
    fitted, blurred, tiny_config, tmp_path
):
    table = pd.read_csv(blurred)
    table["path"] = [str(blurred.parent / path) for path in table["path"]]
    bad = tmp_path / "bad.png"
    bad.write_text("no image")
    extra = pd.DataFrame({"path": str(bad), "label": 1, "group": "x", "split": ["train"]})
    broken = tmp_path / "broken.csv"
    pd.concat([table, extra]).to_csv(broken, index=False)
    train, test = open_rows(broken)
    predict = BASELINES["brisque_svr"](tiny_config, train, tmp_path)
    found = predict(Rows(test.manifest, test.source, np.append(test.image_ids, 50)))
    np.testing.assert_allclose(found.scores[:-1], fitted[2].scores)
    assert np.isnan(found.scores[-1]) and "bad.png" in found.errors[-1]


def test_frozen_features_tell_blur_too(blurred, tiny_config, tmp_path):
    train, test = open_rows(blurred)
    answers = BASELINES["ridge"](tiny_config, train, tmp_path)(test)
    assert stats.spearmanr(answers.scores, test.labels).statistic > 0.9

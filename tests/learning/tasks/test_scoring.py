"""A head that has run away gives scores beyond the scale; no answer of the run leaves it."""

import jax
import numpy as np
import pandas as pd
import pytest

from iqa_jax.modes.predict import predict
from iqa_jax.modes.train import train
from iqa_jax.run.workdir import Workdir
from iqa_jax.scoring import trained_run
from iqa_jax.scoring.image_explainer import load_explainer


@pytest.mark.parametrize("is_higher_better", [True, False])
def test_predict_and_explain_stay_on_the_scale(
    tiny_manifest, tiny_config, tmp_path, monkeypatch, is_higher_better
):
    table = pd.read_csv(tiny_manifest)
    table["path"] = [str(tiny_manifest.parent / name) for name in table["path"]]
    # Labels lie at the very ends too.
    table["label"] = np.where(table["label"] == "good", 100, 0)
    manifest = tmp_path / "manifest.csv"
    table.to_csv(manifest, index=False)
    config = tiny_config
    config.data.manifest, config.data.label_kind = str(manifest), "numeric"
    config.data.higher_is_better, config.balanced_sampling = is_higher_better, False
    config.early_stopping.metric, config.epochs = "srcc", 1
    config.uncertainty.coverage, config.uncertainty.ood = 0.5, "none"
    run = tmp_path / "run"
    assert train(config, str(run), "") == 0

    def outlying(factor):
        def restore(workdir, config):
            variables, step = restore_trained(workdir, config)
            head = dict(variables["params"]["head"])
            head["output"] = jax.tree.map(lambda leaf: factor * leaf, head["output"])
            return {**variables, "params": {**variables["params"], "head": head}}, step

        return restore

    restore_trained = trained_run.restore_trained
    orders = []
    for factor in (1, 1e5):
        monkeypatch.setattr(trained_run, "restore_trained", outlying(factor))
        output = tmp_path / f"scores{factor}.csv"
        assert predict(Workdir(run), str(manifest), str(output)) == 0
        rows = pd.read_csv(output)
        score = rows["score"]
        assert score.between(0, 100).all()
        assert (rows["lower"] <= score).all() and (score <= rows["upper"]).all()
        assert rows["lower"].between(0, 100).all() and rows["upper"].between(0, 100).all()
        (found,) = load_explainer(run).explain_all(rows["path"][:1].tolist())
        assert found.score == pytest.approx(score[0], abs=1e-3)
        assert ((found.maps.tile_scores >= 0) & (found.maps.tile_scores <= 100)).all()
        orders.append(score)
    # Far outliers indeed: most are in the outermost tenths now, and still told apart.
    assert (abs(orders[1] - 50) > 45).mean() > 0.5
    assert orders[1].nunique() > 35

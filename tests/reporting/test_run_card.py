"""A run's model card speaks of its labels, its splits and its limits."""

import pytest

from configs import default
from input_pipeline.tables.manifest import read_manifest
from iqa_jax.reporting.reported_run import reported_run_from_config
from iqa_jax.reporting.run_card import facts_from_config, run_model_card
from iqa_jax.run.build import label_from_config
from iqa_jax.run.workdir import Workdir


@pytest.fixture
def workdir(tmp_path):
    (tmp_path / "audit.txt").write_text("7 images")
    return Workdir(tmp_path)


@pytest.fixture
def card(workdir):
    def card(config, lines, metrics):
        (workdir.folder / "versions.json").write_text('{"jax": "0.10.2"}')
        path = workdir.folder / "manifest.csv"
        path.write_text("path,label,group,split\n" + "\n".join(lines))
        manifest = read_manifest(path, label_from_config(config))
        run, facts = reported_run_from_config(config), facts_from_config(config, 7)
        return run_model_card(run, facts, workdir, manifest, metrics)

    return card


def test_a_card_of_opinion_scores_speaks_in_the_manifest_s_direction(card):
    config = default.get_config()
    config.data.label_kind, config.data.higher_is_better = "numeric", False
    config.data.classes = ()
    config.data.marginal, config.early_stopping.metric = "", ""
    lines = ["a.png,10,x,train", "b.png,20,x,train", "c.png,90,y,train", "d.png,30,z,test"]
    metrics = {"test": {"errors": 0, "rows": 1, "fusion": "mean_score", "n": 1,
                        "fusions": {"mean_score": {"n": 1, "srcc": None}}}}  # fmt: skip
    found = card(config, lines, metrics)
    assert "0 to 100; lower is better" in found.purpose
    assert found.images.rows == [["train", 3, 2, 10, 20, 90], ["test", 1, 1, 30, 30, 30]]
    assert found.facts["Checkpoint"] == "step 7, the last"
    assert "val" not in found.images.caption
    limits = " ".join(found.limits)
    assert "On test some figures are undefined" in limits and "Not measured: holdout." in limits
    assert "val" not in limits and "resemble" not in limits


def test_a_card_of_classes_counts_each_and_warns_as_the_report_does(card):
    config = default.get_config()
    lines = [f"{i}.png,{label},g{i // 2},{split}" for i, (label, split) in enumerate([
        ("bad", "train"), ("marginal", "train"), ("good", "train"), ("good", "train"),
        ("bad", "val"), ("good", "val"), ("good", "test"), ("bad", "test"),
    ])]  # fmt: skip
    figures = {"n": 2, "auroc": 1.0}
    metrics = {
        split: {"errors": 0, "rows": 2, "fusion": "mean_score", "n": 2, "intervals": ends,
                "fusions": {"mean_score": figures}}
        for split, ends in (("val", {}), ("test", {"auroc": [0.5, 1.0]}))
    }  # fmt: skip
    metrics["test"]["disagrees_with_test"] = ["auroc is 1 here"]
    found = card(config, lines, metrics)
    assert found.images.rows[0] == ["train", 4, 2, 1, 1, 2]
    assert found.headlines[0].interval == (0.5, 1.0) and found.headlines[0].split == "test"
    assert found.warnings == ["auroc is 1 here."]
    assert "marginal" in found.purpose and "AUROC on val" in found.facts["Checkpoint"]
    limits = " ".join(found.limits)
    assert "The 2 images of test are of 1 group," in limits
    assert "Figures on val flatter" in limits

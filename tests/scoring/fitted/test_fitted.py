"""What holds for all that is fitted after training: kept and read for its step and settings."""

import dataclasses

import numpy as np
import pytest

from iqa_jax.analysis.calibration_map import CalibrationMap
from iqa_jax.analysis.detectors import fit_detector
from iqa_jax.analysis.linear_probe import fit_probe
from iqa_jax.analysis.logistic import ScoreMap
from iqa_jax.analysis.ood import fit_domain
from iqa_jax.run.workdir import Workdir, WorkdirError
from iqa_jax.scoring.fitted import FITTED, read_fitted
from iqa_jax.scoring.fitted.calibration import write_calibration
from iqa_jax.scoring.fitted.confidence import Confidence, read_confidence

POINTS = np.random.default_rng(0).normal(size=(40, 3))
THINGS = {
    "calibration": {"mean_score": CalibrationMap(1.5, (0.25, -0.25), 0.5, False, 12)},
    "thresholds": (0.25, 0.75),
    "score_maps": {"mean_score": ScoreMap("linear", (2.0, 1.0), "few rows", 3)},
    "confidence": Confidence(0.5, fit_domain(POINTS), 3.0),
    "detector": fit_detector("coreset", POINTS, memory=10, seed=0),
    "probe": fit_probe(POINTS, np.arange(40) % 2, 2, is_balanced=True),
}


@pytest.fixture
def config(tiny_config):
    """Of a run that has all of these."""
    tiny_config.anomaly.kind, tiny_config.loss.name = "coreset", "supcon"
    return tiny_config


def assert_close(one, other):
    """Compares what is made of numbers, arrays and texts."""
    if dataclasses.is_dataclass(one):
        one, other = ({f.name: getattr(x, f.name) for f in dataclasses.fields(x)}
                      for x in (one, other))  # fmt: skip
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        for key in one:
            assert_close(one[key], other[key])
    elif isinstance(one, str) or one is None:
        assert one == other
    else:
        np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("name", FITTED)
def test_what_is_kept_is_read_back_for_its_step_alone(config, tmp_path, name):
    workdir, one = Workdir(tmp_path), FITTED[name]

    def read(step):
        try:
            return one.read(workdir, config, step)
        except WorkdirError as error:
            # Without its probe a run does not answer; without the others it does.
            assert name == "probe" and "start the command again that trains it" in str(error)

    assert read(7) is None
    one.write(workdir, config, 7, THINGS[name])
    assert [path.name for path in tmp_path.iterdir()] == [one.file]
    assert_close(read(7), THINGS[name])
    assert read(8) is None


def test_all_is_read_at_once(config, tmp_path):
    workdir = Workdir(tmp_path)
    for name, one in FITTED.items():
        one.write(workdir, config, 7, THINGS[name])
    found = read_fitted(workdir, config, 7)
    assert found.keys() == THINGS.keys()
    assert all(thing is not None for thing in found.values())


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("confidence", {"uncertainty.coverage": 0.8}),
        ("confidence", {"tta.flips": "horizontal"}),
        ("detector", {"anomaly.memory": 29}),
        ("detector", {"anomaly.kind": "none"}),
    ],
)
def test_what_is_fitted_for_other_settings_is_not_read(config, tmp_path, name, changes):
    workdir, one = Workdir(tmp_path), FITTED[name]
    one.write(workdir, config, 7, THINGS[name])
    assert one.read(workdir, config, 7) is not None
    config.update_from_flattened_dict(changes)
    assert one.read(workdir, config, 7) is None


def test_confidence_is_of_one_calibration(config, tmp_path):
    workdir, maps = Workdir(tmp_path), THINGS["calibration"]
    write_calibration(workdir, config, 7, maps)
    FITTED["confidence"].write(workdir, config, 7, THINGS["confidence"])
    assert read_confidence(workdir, config, 7) is not None
    other = dataclasses.replace(maps["mean_score"], slope=2.0)
    write_calibration(workdir, config, 7, {"mean_score": other})
    assert read_confidence(workdir, config, 7) is None


def test_files_of_older_workdirs_are_read(config, tmp_path):
    for name, text in {
        "calibration.json": '{"step": 7, "maps": {"mean_score": {"slope": 1.5, "biases": [0.25, '
        '-0.25], "share": 0.5, "is_ordered": false, "images": 12}}}',
        "thresholds.json": '{"step": 7, "low": 0.25, "high": 0.75}',
        "logistic.json": '{"step": 7, "maps": {"mean_score": {"kind": "linear", "parameters": '
        '[2.0, 1.0], "note": "few rows", "rows": 3}}}',
    }.items():
        (thing,) = (key for key, one in FITTED.items() if one.file == name)
        (tmp_path / name).write_text(text)
        assert FITTED[thing].read(Workdir(tmp_path), config, 7) == THINGS[thing]
        (tmp_path / name).unlink()
        # And what is written now, an older program reads.
        FITTED[thing].write(Workdir(tmp_path), config, 7, THINGS[thing])
        assert (tmp_path / name).read_text() == text

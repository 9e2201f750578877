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
from iqa_jax.scoring.fitted import (
    calibration,
    confidence,
    detector,
    fitted_settings_from_config,
    probe,
    read_fitted,
    score_maps,
    thresholds,
)
from iqa_jax.scoring.fitted.confidence import Confidence

POINTS = np.random.default_rng(0).normal(size=(40, 3))
THINGS = {
    "calibration": {"mean_score": CalibrationMap(1.5, (0.25, -0.25), 0.5, False, 12)},
    "thresholds": (0.25, 0.75),
    "score_maps": {"mean_score": ScoreMap("linear", (2.0, 1.0), "few rows", 3)},
    "confidence": Confidence(0.5, fit_domain(POINTS), 3.0),
    "detector": fit_detector("coreset", POINTS, memory=10, seed=0),
    "probe": fit_probe(POINTS, np.arange(40) % 2, 2, is_balanced=True),
}


FILES = {
    "calibration": calibration.FILE,
    "thresholds": thresholds.FILE,
    "score_maps": score_maps.FILE,
    "confidence": confidence.FILE,
    "detector": detector.FILE,
    "probe": probe.FILE,
}


def write(workdir, config, step, name):
    """Keeps one of the things, with the settings that it hangs on."""
    settings, thing = fitted_settings_from_config(config), THINGS[name]
    if name == "confidence":
        confidence.write_confidence(workdir, step, settings.confidence, thing)
    elif name == "detector":
        detector.write_detector(workdir, step, settings.detector, thing)
    else:
        {
            "calibration": calibration.write_calibration,
            "thresholds": thresholds.write_thresholds,
            "score_maps": score_maps.write_score_maps,
            "probe": probe.write_probe,
        }[name](workdir, step, thing)


def read(workdir, config, step, name):
    """Reads one of the things, where the others may be gone."""
    settings = fitted_settings_from_config(config)
    if name != "probe":
        # Without its probe a run does not answer; without the others it does.
        settings = dataclasses.replace(settings, probe=None)
    return read_fitted(workdir, step, settings)[name]


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


@pytest.mark.parametrize("name", THINGS)
def test_what_is_kept_is_read_back_for_its_step_alone(config, tmp_path, name):
    workdir = Workdir(tmp_path)

    def is_lacking(step):
        if name != "probe":
            return read(workdir, config, step, name) is None
        with pytest.raises(WorkdirError, match="start the command again that trains it"):
            read(workdir, config, step, name)
        return True

    assert is_lacking(7)
    write(workdir, config, 7, name)
    assert [path.name for path in tmp_path.iterdir()] == [FILES[name]]
    assert_close(read(workdir, config, 7, name), THINGS[name])
    assert is_lacking(8)


def test_all_is_read_at_once(config, tmp_path):
    workdir = Workdir(tmp_path)
    for name in THINGS:
        write(workdir, config, 7, name)
    found = read_fitted(workdir, 7, fitted_settings_from_config(config))
    assert found.keys() == THINGS.keys()
    assert all(thing is not None for thing in found.values())


def test_scores_lack_no_calibration(config, tmp_path):
    config.data.label_kind, config.loss.name, config.anomaly.kind = "numeric", "", "none"
    assert read(Workdir(tmp_path), config, 7, "calibration") == {}
    assert read(Workdir(tmp_path), config, 7, "detector") is None


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
    workdir = Workdir(tmp_path)
    write(workdir, config, 7, name)
    assert read(workdir, config, 7, name) is not None
    config.update_from_flattened_dict(changes)
    assert read(workdir, config, 7, name) is None


def test_confidence_is_of_one_calibration(config, tmp_path):
    workdir, maps = Workdir(tmp_path), THINGS["calibration"]
    calibration.write_calibration(workdir, 7, maps)
    write(workdir, config, 7, "confidence")
    assert read(workdir, config, 7, "confidence") is not None
    other = dataclasses.replace(maps["mean_score"], slope=2.0)
    calibration.write_calibration(workdir, 7, {"mean_score": other})
    assert read(workdir, config, 7, "confidence") is None


def test_files_of_older_workdirs_are_read(config, tmp_path):
    for name, text in {
        "calibration.json": '{"step": 7, "maps": {"mean_score": {"slope": 1.5, "biases": [0.25, '
        '-0.25], "share": 0.5, "is_ordered": false, "images": 12}}}',
        "thresholds.json": '{"step": 7, "low": 0.25, "high": 0.75}',
        "logistic.json": '{"step": 7, "maps": {"mean_score": {"kind": "linear", "parameters": '
        '[2.0, 1.0], "note": "few rows", "rows": 3}}}',
    }.items():
        (thing,) = (key for key, file in FILES.items() if file == name)
        (tmp_path / name).write_text(text)
        assert read(Workdir(tmp_path), config, 7, thing) == THINGS[thing]
        (tmp_path / name).unlink()
        # And what is written now, an older program reads.
        write(Workdir(tmp_path), config, 7, thing)
        assert (tmp_path / name).read_text() == text

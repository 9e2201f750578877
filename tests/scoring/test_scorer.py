"""How images are put together for scoring changes no answer."""

import jax
import numpy as np
import pytest

from input_pipeline.batches.whole_bags import whole_bags
from input_pipeline.tiles.features import FeatureTable
from input_pipeline.tiles.sources import TileSource
from input_pipeline.tiles.tiling import Tiling
from input_pipeline.tiles.views import PLAIN, make_views
from iqa_jax.run import build
from iqa_jax.scoring.scorer import Scorer
from shallow import make_model, make_variables

FUSIONS = ("mean_score", "vote", "mean_embedding")


@pytest.fixture(scope="module")
def variables():
    variables = jax.device_get(make_variables())
    # A head that is sure of itself: else all answers are near the prior and equal anyway.
    for layer in variables["params"]["head"].values():
        layer["kernel"] = layer["kernel"] * 8
    return variables


@pytest.fixture
def make_scorer(tiny_config):
    task = build.task_from_config(tiny_config)

    def make(tiles_per_chunk=16, **more):
        return Scorer(
            make_model(dropout=0.5),
            task,
            kind="binary",
            fusion="mean_embedding",
            tiles_per_chunk=tiles_per_chunk,
            **more,
        )

    return make


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Twenty pictures of 1 to 260 tiles and of different colours, and a file that is none."""
    rng = np.random.default_rng(0)
    bad = tmp_path_factory.mktemp("bad") / "text.jpg"
    bad.write_text("no image")
    sizes = [(16, 16), (9, 40), (70, 33), (1, 1), (208, 320)] * 4
    images = [
        (rng.uniform(0, 1, (height, width, 3)) * rng.integers(0, 256, 3)).astype(np.uint8)
        for height, width in sizes
    ]
    return [*images[:7], bad, *images[7:]]


def score(scorer, variables, pictures, order=None, views=(PLAIN,)):
    order = range(len(pictures)) if order is None else order
    source = TileSource(pictures, Tiling(16, 16), max_pixels=10**6)
    bags = whole_bags(source, order, FeatureTable(), threads=2, views=views)
    answers = list(scorer.score(variables, bags))
    assert [answer.image_id for answer in answers] == list(order)
    return {answer.image_id: answer for answer in answers}


def assert_same(ours, theirs):
    assert ours.keys() <= theirs.keys()
    for image_id, answer in ours.items():
        other = theirs[image_id]
        assert answer.error == other.error
        assert answer.values.keys() == other.values.keys()
        for fusion, values in answer.values.items():
            np.testing.assert_allclose(values, other.values[fusion], atol=1e-5, err_msg=fusion)
        np.testing.assert_allclose(answer.tile_values, other.tile_values, atol=1e-5)
        np.testing.assert_allclose(answer.attention, other.attention, atol=1e-6)


@pytest.fixture
def answers(make_scorer, variables, pictures):
    return score(make_scorer(), variables, pictures)


def test_answers(answers):
    good = [answer for answer in answers.values() if not answer.error]
    assert {len(answer.tile_values) for answer in good} == {1, 3, 15, 260}
    for answer in good:
        assert tuple(answer.values) == FUSIONS
        assert answer.attention.sum() == pytest.approx(1)
        np.testing.assert_allclose(
            answer.values["mean_score"], answer.tile_values.mean(axis=0), atol=1e-6
        )
        votes = np.mean(answer.tile_values[:, 1] >= 0.5)
        np.testing.assert_allclose(answer.values["vote"], (1 - votes, votes))
    # They differ, so that equal answers in the other tests mean something.
    assert np.std([answer.values["mean_embedding"][1] for answer in good]) > 0.05


@pytest.mark.parametrize("tiles_per_chunk", [1, 40, 1000])
def test_chunks_change_nothing(make_scorer, variables, pictures, answers, tiles_per_chunk):
    assert_same(score(make_scorer(tiles_per_chunk), variables, pictures), answers)


def test_order_and_company_change_nothing(make_scorer, variables, pictures, answers):
    scorer = make_scorer()
    order = np.random.default_rng(1).permutation(len(pictures)).tolist()
    assert_same(score(scorer, variables, pictures, order), answers)
    for image_id in (0, 4):
        assert_same(score(scorer, variables, pictures, [image_id]), answers)


def test_the_number_of_devices_changes_nothing(
    make_scorer, variables, pictures, answers, monkeypatch
):
    one = jax.local_devices()[:1]
    monkeypatch.setattr(jax, "local_devices", lambda: one)
    assert_same(score(make_scorer(), variables, pictures), answers)


def test_a_bad_image_is_an_error_alone(answers):
    assert [number for number, answer in answers.items() if answer.error] == [7]
    assert "text.jpg" in answers[7].error
    assert not answers[7].values and len(answers[7].tile_values) == 0


def test_nothing_but_bad_images(make_scorer, variables, pictures):
    answers = score(make_scorer(), variables, [pictures[7]] * 3)
    assert all(answer.error for answer in answers.values())


def test_no_images(make_scorer, variables):
    assert score(make_scorer(), variables, []) == {}


def test_the_answer_to_views_is_the_mean_of_the_answers_to_each(
    make_scorer, variables, pictures, answers
):
    views = make_views("both", 1, (0.5,))
    scorer = make_scorer()
    together = score(scorer, variables, pictures, views=views)
    assert list(together) == list(answers)
    apart = [score(scorer, variables, pictures, views=[view]) for view in views]
    # Views say different things, so that their mean is not any of them.
    assert together[4].views[:, 1].std() > 1e-3
    for image_id, answer in together.items():
        assert answer.error == answers[image_id].error
        if answer.error:
            continue
        assert len(answer.views) == 12
        each = [part[image_id] for part in apart]
        for fusion, values in answer.values.items():
            mean = np.mean([one.values[fusion] for one in each], axis=0)
            np.testing.assert_allclose(values, mean, atol=1e-5)
        # What is drawn on the image is of the image as it is.
        np.testing.assert_allclose(answer.tile_values, answers[image_id].tile_values, atol=1e-5)
        assert answer.layout.grid.shape == answers[image_id].layout.grid.shape


def test_one_view_is_the_plain_answer_bit_for_bit(make_scorer, variables, pictures, answers):
    again = score(make_scorer(), variables, pictures, views=make_views("none", 0, ()))
    for image_id, answer in again.items():
        for fusion, values in answer.values.items():
            np.testing.assert_array_equal(values, answers[image_id].values[fusion])
        if not answer.error:
            np.testing.assert_array_equal(answer.views, [answer.values["mean_embedding"]])


@pytest.mark.parametrize(
    ("flips", "mirrors"),
    [("horizontal", [np.s_[:, ::-1]]), ("both", [np.s_[:, ::-1], np.s_[::-1], np.s_[::-1, ::-1]])],
)
def test_mirroring_an_image_does_not_change_what_its_views_say(
    make_scorer, variables, pictures, flips, mirrors
):
    # Sides that the stride does not divide: a mirrored grid is another grid.
    images = [pictures[2], pictures[1]]
    views = make_views(flips, 1, (0.7,))
    scorer = make_scorer(headline="mean_score", mc_samples=3)
    expected = score(scorer, variables, images, views=views)
    for mirror in mirrors:
        mirrored = [np.ascontiguousarray(image[mirror]) for image in images]
        for image_id, answer in score(scorer, variables, mirrored, views=views).items():
            for fusion, values in answer.values.items():
                np.testing.assert_allclose(values, expected[image_id].values[fusion], atol=1e-6)
            np.testing.assert_allclose(answer.samples, expected[image_id].samples, atol=1e-6)
    plain = score(scorer, variables, images)
    turned = score(scorer, variables, [np.ascontiguousarray(i[:, ::-1]) for i in images])
    assert abs(plain[0].values["mean_score"] - turned[0].values["mean_score"]).max() > 1e-4


@pytest.mark.parametrize("headline", ["mean_score", "vote", "mean_embedding"])
def test_passes_hang_on_the_seed_alone(make_scorer, variables, pictures, headline):
    scorer = make_scorer(headline=headline, mc_samples=4)

    def samples(order, scorer=scorer):
        answers = score(scorer, variables, pictures, order)
        return {key: answer.samples for key, answer in answers.items() if not answer.error}

    together = samples([0, 1, 2, 3, 7, 13])
    assert len(together) == 5
    # Alone, picture 0 needs no padding; among the others its one tile is padded to sixteen.
    for order in ([2, 7], [0]):
        for image_id, drawn in samples(order).items():
            assert drawn.shape == (4, 2)
            np.testing.assert_allclose(drawn, together[image_id], atol=1e-5)
            np.testing.assert_allclose(drawn.sum(axis=1), 1, atol=1e-5)
    if headline == "mean_embedding":
        others = samples([2], make_scorer(headline=headline, mc_samples=4, seed=1))
        assert np.abs(others[2] - together[2]).max() > 1e-3
        assert all(np.ptp(drawn[:, 1]) > 0 for drawn in together.values())

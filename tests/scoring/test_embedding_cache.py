"""The cache of embeddings: never stale, never half, and the same for runs of every seed."""

import shutil
from pathlib import Path
from types import SimpleNamespace

import cv2
import jax
import numpy as np
import pytest

from input_pipeline.files.images import ImageError
from input_pipeline.tiles.features import FeatureTable
from iqa_jax.evaluation.evaluator import evaluator_from_config
from iqa_jax.run import build
from iqa_jax.run.variables import initial_variables
from iqa_jax.scoring.embedding_cache import embeddings_from_config

pytestmark = pytest.mark.usefixtures("one_device")


@pytest.fixture
def embed(tiny_config, tmp_path):
    """Embeds the tiny images with changes to the config; gives path -> embeddings."""
    # A stride that does not divide an image: its edge counts.
    tiny_config.tiles.stride, tiny_config.data.features = 24, ()
    variables = initial_variables(tiny_config)
    tiny_config.bags.cache_folder = str(tmp_path / "embeddings")

    def run(scale=1.0, **changes):
        config = tiny_config.copy_and_resolve_references()
        config.update_from_flattened_dict(changes)
        manifest = build.manifest_from_config(config)
        source = build.source_from_config(config, manifest)
        scaled = jax.tree.map(lambda weights: scale * weights, variables)
        cached = embeddings_from_config(config, scaled, source)
        return {path: np.array(cached(i)) for i, path in enumerate(manifest.images["path"])}

    return run


def files_in(folder: Path) -> dict[str, int]:
    """Gives name -> time of writing of all that is kept."""
    return {str(file): file.stat().st_mtime_ns for file in folder.rglob("*.npy")}


def same(left, right) -> bool:
    return left.keys() == right.keys() and all(
        np.array_equal(left[name], right[name]) for name in left
    )


def test_first_the_grid_then_moved_tiles(embed):
    plain, copies = embed(), embed(**{"bags.copies": 3})
    for path, grid in plain.items():
        assert grid.shape[0] == 1 and copies[path].shape[0] == 3
        assert np.array_equal(grid[0], copies[path][0])
        assert not np.allclose(grid[0], copies[path][1], atol=1e-3)
        assert not np.allclose(copies[path][1], copies[path][2], atol=1e-3)


def test_runs_of_all_seeds_share_the_copies(embed, tmp_path):
    """A study of many splits embeds once; and what it finds does not hang on who came first."""
    first = embed(**{"bags.copies": 2, "seed": 0})
    before = files_in(tmp_path / "embeddings")
    assert same(first, embed(**{"bags.copies": 2, "seed": 5}))
    assert files_in(tmp_path / "embeddings") == before
    elsewhere = {"bags.cache_folder": str(tmp_path / "other"), "bags.copies": 2, "seed": 5}
    assert same(first, embed(**elsewhere))


def test_a_killed_run_goes_on_where_it_stopped(embed, tmp_path):
    whole = embed(**{"bags.copies": 2})
    before = files_in(tmp_path / "embeddings")
    gone, cut, *rest = sorted(before)
    Path(gone).unlink()
    Path(cut).write_bytes(Path(cut).read_bytes()[:100])
    assert same(whole, embed(**{"bags.copies": 2}))
    after = files_in(tmp_path / "embeddings")
    assert after.keys() == before.keys()
    assert {name: after[name] for name in rest} == {name: before[name] for name in rest}


@pytest.mark.parametrize(
    "changes",
    [
        {"tiles.stride": 16},
        {"tiles.edge": "drop"},
        {"tiles.reference_side": 40},
        {"model.pooling": "stages"},
        {"scale": 1.5},
    ],
)
def test_what_embeddings_depend_on_is_not_mixed_up(embed, tmp_path, changes):
    """Another tiling, another pooling, other weights."""
    first = embed()
    before = files_in(tmp_path / "embeddings")
    assert not same(first, embed(**changes))
    assert len(files_in(tmp_path / "embeddings")) == 2 * len(before)
    assert same(first, embed())


def test_a_picture_that_changes_is_embedded_again(embed, tiny_manifest, tmp_path):
    folder = tmp_path / "pictures"
    shutil.copytree(tiny_manifest.parent, folder)
    manifest = {"data.manifest": str(folder / tiny_manifest.name)}
    first = embed(**manifest)
    name = next(iter(first))
    picture = cv2.imread(str(folder / name))
    cv2.imwrite(str(folder / name), 255 - picture)
    second = embed(**manifest)
    assert not np.array_equal(first.pop(name), second.pop(name))
    assert same(first, second)


def test_a_picture_in_several_rows_is_embedded_once(tiny_config, tiny_manifest, tmp_path):
    folder = tmp_path / "pictures"
    shutil.copytree(tiny_manifest.parent, folder)
    header, first, *rest = tiny_manifest.read_text().splitlines()
    whole = (folder / first.split(",")[0]).read_bytes()
    (folder / "again.png").write_bytes(whole)
    for name in ("cut.png", "cut_again.png"):
        (folder / name).write_bytes(whole[: len(whole) // 2])
    _, *columns = first.split(",")
    more = [",".join([name, *columns]) for name in ("again.png", "cut.png", "cut_again.png")]
    (folder / tiny_manifest.name).write_text("\n".join([header, first, *rest, *more]))
    tiny_config.data.manifest, tiny_config.data.features = str(folder / tiny_manifest.name), ()
    tiny_config.bags.cache_folder = str(tmp_path / "embeddings")
    manifest = build.manifest_from_config(tiny_config)
    source = build.source_from_config(tiny_config, manifest)
    seen, image = [], source.image
    source.image = lambda image_id: seen.append(image_id) or image(image_id)
    cached = embeddings_from_config(tiny_config, initial_variables(tiny_config), source)
    image_ids = {Path(path).name: image_id for image_id, path in manifest.images["path"].items()}
    assert len(files_in(tmp_path / "embeddings")) == 1 + len(rest)
    assert not {image_ids["again.png"], image_ids["cut_again.png"]} & set(seen)
    assert {image_ids["cut.png"], image_ids[first.split(",")[0]]} <= set(seen)
    first_id = image_ids[first.split(",")[0]]
    np.testing.assert_array_equal(cached(image_ids["again.png"]), cached(first_id))
    for name in ("cut.png", "cut_again.png"):
        with pytest.raises(ImageError):
            cached(image_ids[name])


def test_too_little_room_is_said_before_anything_is_embedded(embed, tmp_path, monkeypatch):
    """By as many bytes as the embeddings have, and none where they are there already."""
    found = embed(**{"bags.copies": 2})
    needed = sum(embeddings.nbytes for embeddings in found.values())
    room = SimpleNamespace(free=needed - 1)
    monkeypatch.setattr("iqa_jax.scoring.embedding_cache.shutil.disk_usage", lambda folder: room)
    assert same(found, embed(**{"bags.copies": 2}))
    shutil.rmtree(tmp_path / "embeddings")
    with pytest.raises(OSError, match=r"2 copies, take .* GB free.*tiles\.shrink"):
        embed(**{"bags.copies": 2})
    assert not files_in(tmp_path / "embeddings")
    room.free = needed
    assert same(found, embed(**{"bags.copies": 2}))


def test_views_are_looked_at_though_the_plain_image_is_kept(tiny_config, tmp_path):
    config = tiny_config
    config.bags.cached, config.bags.cache_folder = True, str(tmp_path / "embeddings")
    config.model.trainable_layers, config.data.features = 0, ()
    config.tta.flips, config.tta.shifts = "horizontal", 1
    manifest, variables = build.manifest_from_config(config), initial_variables(config)
    source, table = build.source_from_config(config, manifest), FeatureTable()
    kept = embeddings_from_config(config, variables, source)

    def answers(embeddings, is_thorough):
        evaluator = evaluator_from_config(config, manifest, source, table, embeddings, is_thorough)
        return np.array([a.views for a in evaluator.answers(variables, manifest.images.index)])

    seen, plain = answers(kept, is_thorough=True), answers(kept, is_thorough=False)
    assert seen.shape[1] == 4 and plain.shape[1] == 1
    np.testing.assert_array_equal(seen, answers(None, is_thorough=True))
    np.testing.assert_allclose(seen[:, :1], plain, rtol=1e-5)
    assert np.ptp(seen, axis=1).max(axis=0).min() > 1e-4

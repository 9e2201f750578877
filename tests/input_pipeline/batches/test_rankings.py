"""Groups of degraded versions: what is in them, in which order, and again after a stop."""

import cv2
import numpy as np
import pytest
import skimage.data

from input_pipeline.batches.bags import bag_maker, tile_reader
from input_pipeline.batches.rankings import GROUP_SIZE, device_kinds, make_versions, ranked_batches
from input_pipeline.distortions.catalogue import DISTORTIONS, LEVELS, distort
from input_pipeline.tables.labels import LabelSpec
from input_pipeline.tables.manifest import read_manifest
from input_pipeline.tables.regions import find_regions
from input_pipeline.tables.table_files import ManifestError
from input_pipeline.tiles.features import FeatureTable
from input_pipeline.tiles.sources import TileSource, Version, pictures_of
from input_pipeline.tiles.tile_index import index_tiles, rows_by_image
from input_pipeline.tiles.tiling import Tiling

KINDS = ("jpeg", "white_noise", "block_errors", "contrast_loss")
RANKING = LabelSpec("ranking")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    (folder / "more").mkdir()
    scenes = (skimage.data.astronaut(), skimage.data.chelsea(), skimage.data.coffee())
    for number, scene in enumerate(scenes):
        name = ("a.png", "b.png", "more/c.png")[number]
        cv2.imwrite(str(folder / name), scene[40:168, 60:160, ::-1])
    return folder


@pytest.fixture(scope="module")
def photos(folder):
    return read_manifest(folder, RANKING, fractions={"train": 0.34, "val": 0.33, "test": 0.33})


def source_of(pictures):
    return TileSource(pictures, Tiling(32, 32), max_pixels=10**6, cache_bytes=10**8)


@pytest.fixture(scope="module")
def make_bag(photos):
    source = source_of(pictures_of(photos))
    index = index_tiles(source, photos.images.index, low=0, threads=2)
    read = tile_reader(source, index, FeatureTable(), random_tiles=True, low=0)
    return bag_maker(
        index, photos.images, FeatureTable(), rows_by_image(index), read, tiles_per_bag=2
    )


def batches(make_bag, **changes):
    order = {"batch_size": 4 * GROUP_SIZE, "seed": 0, "threads": 2}
    return ranked_batches(make_bag, 3, KINDS, **order | changes)


def assert_same(one, other):
    assert one.keys() == other.keys()
    for name in one:
        np.testing.assert_array_equal(one[name], other[name], err_msg=name)


def test_a_folder_is_a_manifest_of_its_images(folder, photos):
    assert photos.images["name"].tolist() == ["a.png", "b.png", "more/c.png"]
    assert set(photos.splits) == {"train", "val", "test"}
    assert photos.images["path"].tolist() == [str(folder / name) for name in photos.images["name"]]
    with pytest.raises(ManifestError, match="is no data set"):
        read_manifest(folder, LabelSpec("binary", classes=("bad", "good")))


def test_a_group_is_one_photo_with_one_kind_at_all_levels(make_bag):
    iterator, seen = batches(make_bag), []
    for batch in (next(iterator) for _ in range(3)):
        label = batch["label"]
        assert label.dtype == np.int32 and label.shape == (24, 2)
        np.testing.assert_array_equal(label[:, 0], np.repeat(np.arange(4), 6))
        np.testing.assert_array_equal(label[:, 1], np.tile([0, -1, -2, -3, -4, -5], 4))
        for group in range(4):
            rows = slice(6 * group, 6 * group + 6)
            part = {name: values[rows] for name, values in batch.items()}
            assert len(set(part["image_id"])) == len(set(part["chance"])) == 1
            assert (part["tile_position"] == part["tile_position"][0]).all()
            clean, number = part["tiles"][0], part["distortion"][1]
            assert part["distortion"][0] == 0
            assert (part["distortion"][1:] == number).all()
            if number:
                # The device has it still to do.
                kind = device_kinds(KINDS)[number - 1]
                np.testing.assert_allclose(part["strength"][1:], DISTORTIONS[kind].strengths)
                assert (part["tiles"] == clean).all()
            else:
                (kind,) = [
                    kind
                    for kind in KINDS
                    if kind not in device_kinds(KINDS)
                    and all(
                        (distort(c, kind, k, np.random.default_rng(part["chance"][0])) == t).all()
                        for k in LEVELS
                        for c, t in zip(clean, part["tiles"][k], strict=True)
                    )
                ]
                assert len({tile.tobytes() for tile in part["tiles"]}) == 6
            seen.append((int(part["image_id"][0]), kind))
    # Three batches of four groups are one epoch: every photo with every kind.
    assert sorted(seen) == [(photo, kind) for photo in range(3) for kind in sorted(KINDS)]


def test_a_batch_of_one_group_is_a_part_of_a_larger_one(make_bag):
    iterator, larger = batches(make_bag, batch_size=GROUP_SIZE), next(batches(make_bag))
    for first in range(0, 4 * GROUP_SIZE, GROUP_SIZE):
        part = {name: values[first : first + GROUP_SIZE] for name, values in larger.items()}
        part["label"] = part["label"] - [first // GROUP_SIZE, 0]
        assert_same(next(iterator), part)


def test_the_seed_decides_and_a_stop_changes_nothing(make_bag):
    iterator = batches(make_bag)
    first = [next(iterator) for _ in range(5)]
    again = batches(make_bag, threads=1)
    for batch in first[:2]:
        assert_same(batch, next(again))
    resumed = batches(make_bag)
    resumed.set_state(again.get_state())
    for batch in first[2:]:
        assert_same(batch, next(resumed))
    other = next(batches(make_bag, seed=1))
    assert (other["tiles"] != first[0]["tiles"]).any()


def test_processes_share_the_groups_and_number_them_apart(make_bag):
    whole = next(batches(make_bag))
    shares = [next(batches(make_bag, process=p, processes=2)) for p in range(2)]
    numbers = [set(share["label"][:, 0].tolist()) for share in shares]
    assert numbers == [{0, 1}, {2, 3}]
    for process, share in enumerate(shares):
        rows = np.arange(12) + 12 * process
        assert_same({name: values[rows] for name, values in whole.items()}, share)


def test_versions_are_all_pairs_within_photo_and_kind(photos):
    manifest, pictures = make_versions(photos, KINDS[:2], KINDS[2:], crop=64, seed=0)
    images, pairs = manifest.images, manifest.pairs
    assert len(images) == len(pictures) == 1 + 2 * (1 + 4 * 5)
    assert (images["split"] == "train").sum() == 1
    (train,) = images.index[images["split"] == "train"]
    assert isinstance(pictures[train], str)
    assert len(pairs) == 2 * 4 * 15 and (pairs["preference"] == 1).all()
    assert not set(pairs[["first", "second"]].to_numpy().ravel()) & {train}
    for row in pairs.itertuples():
        better, worse = (pictures[image] for image in (row.first, row.second))
        assert better.path == worse.path and better.level < worse.level
        assert {better.distortion, worse.distortion} <= {row.kind, ""}
        assert (row.figure == "unseen_pair_accuracy") == (row.kind in KINDS[2:])
    assert find_regions(manifest) == {}
    # A photo and its versions stay in its group and split.
    assert (images.groupby("path")[["group", "split"]].nunique() == 1).all(axis=None)


def test_a_version_is_the_middle_of_the_photo_degraded(folder, photos):
    manifest, pictures = make_versions(photos, ["white_noise"], [], crop=64, seed=0)
    source = source_of(pictures)
    path = next(p.path for p in pictures if isinstance(p, Version))
    photo = cv2.imread(path)[:, :, ::-1]
    middle = photo[32:96, 18:82]
    noise = []
    for image, picture in enumerate(pictures):
        if not isinstance(picture, Version) or picture.path != path:
            continue
        layout = source.layout(image)
        assert (layout.height, layout.width) == (64, 64) and len(layout.grid.origins) == 4
        found = source.image(image)
        np.testing.assert_array_equal(found, source_of(pictures).image(image))
        if picture.level == 0:
            np.testing.assert_array_equal(found, middle)
        else:
            noise.append(found.astype(float) - middle)
        np.testing.assert_array_equal(source.tiles(image, layout)[0], found[:32, :32])
    # Levels share the noise, and there is more and more of it.
    assert np.corrcoef(noise[0].ravel(), noise[1].ravel())[0, 1] > 0.8
    assert (np.diff([part.std() for part in noise]) > 0).all()
    assert len({source.content(image) for image in range(len(pictures))}) == len(pictures)


def test_tiles_already_cut_are_refused(tmp_path):
    (tmp_path / "m.csv").write_text("path,image,row,column,split\na.png,a,0,0,val\n")
    manifest = read_manifest(tmp_path / "m.csv", RANKING)
    with pytest.raises(ManifestError, match="whole photographs"):
        make_versions(manifest, KINDS, [], crop=64, seed=0)

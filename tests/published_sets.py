"""Published sets in small, laid out as their makers do."""

from pathlib import Path

import numpy as np
import openpyxl
import scipy.io
from PIL import Image

REFERENCES = 4


def write_images(folder: Path, names: list[str]) -> None:
    rng = np.random.default_rng(len(names))
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        pixels = rng.integers(0, 255, (8, 8, 3), np.uint8)
        # A format that no suffix decides: some sets have JPEG files that are called .bmp.
        Image.fromarray(pixels).save(folder / name, format="png")


def write_sheet(path: Path, title: str, rows: list) -> None:
    book = openpyxl.Workbook()
    book.active.title = title
    for row in rows:
        book.active.append(row)
    path.parent.mkdir(parents=True, exist_ok=True)
    book.save(path)


def lay_out_live_in_the_wild(folder: Path) -> None:
    names = [f"t{n}.bmp" for n in range(1, 8)] + ["3.bmp", "5.bmp", "1024.JPG", "t9.bmp"]
    folder.joinpath("Data").mkdir()
    # MATLAB: a column of cells, and rows of doubles.
    cells = np.empty((len(names), 1), object)
    cells[:, 0] = names
    for name, value in (
        ("AllImages_release", cells),
        ("AllMOS_release", np.arange(len(names), dtype=float)[None] * 10),
        ("AllStdDev_release", np.arange(len(names), dtype=float)[None] + 0.5),
    ):
        scipy.io.savemat(folder / "Data" / f"{name}.mat", {name: value})
    write_images(folder / "Images", names[7:])
    write_images(folder / "Images" / "trainingImages", names[:7])


def lay_out_koniq10k(folder: Path) -> None:
    (folder / "koniq10k_scores_and_distributions.csv").write_text(
        '"image_name","c1","c2","c3","c4","c5","c_total","MOS","SD","MOS_zscore"\n'
        '"10004473376.jpg",0,0,25,73,7,105,3.82857142857143,0.527278,70.8\n'
        '"10007357496.jpg",0,3,45,47,1,96,3.47916666666667,0.580003,60.1\n'
        '"10007903636.jpg",1,0,20,73,2,96,3.78125,0.5,69.2\n'
    )
    write_images(folder / "1024x768", ["10004473376.jpg", "10007357496.jpg", "10007903636.jpg"])


def lay_out_kadid10k(folder: Path) -> None:
    rows, names = ["dist_img,ref_img,dmos,var"], []
    for reference in range(1, REFERENCES + 1):
        for level, score in ((1, 4.57), (5, 1.2)):
            names.append(f"I{reference:02}_01_{level:02}.png")
            rows.append(f"{names[-1]},I{reference:02}.png,{score},0.496")
    (folder / "dmos.csv").write_text("\n".join(rows) + "\n")
    write_images(folder / "images", [*names, "I01.png"])


def lay_out_tid2013(folder: Path) -> None:
    names = [f"I{n:02}_01_{level}.bmp" for n in range(1, REFERENCES + 1) for level in (1, 5)]
    scores = [5.51429, 3.1] * REFERENCES
    lines = [f"{score:.5f} {name}" for score, name in zip(scores, names, strict=True)]
    (folder / "mos_with_names.txt").write_text("\r\n".join(lines) + "\r\n")
    (folder / "mos_std.txt").write_text("\n".join(["0.13013"] * len(names)))
    # The images are in lower case, the score file is not.
    write_images(folder / "distorted_images", [name.lower() for name in names])


def lay_out_csiq(folder: Path) -> None:
    # The table begins in the fourth row and column; Excel takes the picture 1600 for a number.
    head = [None, None, None, "image", "dst_idx", "dst_type", "dst_lev", "dmos_std", "dmos"]
    rows, names = [], []
    for reference in (1600, "boston", "lady_liberty", "trolley"):
        for index, (kind, token) in enumerate((("noise", "AWGN"), ("jpeg 2000", "jpeg2000"))):
            for level, dmos in ((1, 0.062), (5, 0.875)):
                rows.append([None] * 3 + [reference, index + 1, kind, level, 0.042, dmos])
                names.append(f"{token.lower()}/{reference}.{token}.{level}.png")
    blank = [[None], ["CSIQ"], [None]]
    write_sheet(folder / "csiq.DMOS.xlsx", "all_by_image", [*blank, head, *rows, [None]])
    write_images(folder / "dst_imgs", names)


def lay_out_spaq(folder: Path) -> None:
    head = ["Image name", "MOS", "Brightness", "Colorfulness", "Contrast", "Noisiness", "Sharpness"]
    rows = [[f"0000{n}.jpg", 20.0 * n, 51, 52, 53, 54, 55.5] for n in (1, 2, 3)]
    write_sheet(
        folder / "Annotations" / "MOS and Image attribute scores.xlsx", "Sheet1", [head, *rows]
    )
    write_images(folder / "TestImage", [row[0] for row in rows])


def lay_out_biq2021(folder: Path) -> None:
    # The training table has two empty columns more, and one file another letter case.
    (folder / "Train (Images and MOS).csv").write_text(
        "Image Name,MOS,,\nss03 (3753).jpg,0.8471,,\nss02 (1014).jpg,0,,\nss01 (9).jpg,0.2874,,\n"
    )
    (folder / "Test (Images and MOS).csv").write_text("Image Name,MOS\nss03 (1).jpg,1\n")
    names = ["ss03 (3753).jpg", "ss02 (1014).JPG", "ss01 (9).jpg", "ss03 (1).jpg"]
    write_images(folder / "Images", names)

"""The modes of the command line and their flags, each said once: help and completion read this."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Mode:
    """What a `--mode` does, and which flags it takes.

    Attributes:
        function: its name in the module of the mode, `iqa_jax/modes/<mode>.py`.
        does: a sentence or two for people.
        example: the flags of a command that somebody could give.
        needs: flags that must be given.
        takes: flags that may be given.
    """

    function: str
    does: str
    example: str
    needs: Sequence[str] = ()
    takes: Sequence[str] = ()

    @property
    def flags(self) -> tuple[str, ...]:
        """Every flag of the mode, those that it needs first."""
        return (*self.needs, *self.takes)


@dataclass(frozen=True)
class Flag:
    """What a flag means.

    Attributes:
        value: a word for its value; "" for a switch, which is on or off.
        means: mode -> what the flag means there; "" for all others.
        without: what happens where it may be left out and is.
        default: its value then.
    """

    value: str
    means: Mapping[str, str]
    without: str = ""
    default: str = ""

    def meaning(self, mode: str) -> str:
        """Says what the flag means in a mode."""
        return self.means.get(mode, self.means.get("", ""))


MODES = {
    "train": Mode(
        "train",
        "Trains a scorer, or goes on with it, then evaluates it and writes its report.",
        "--config=tile_classifier --config.data.manifest=photos/manifest.csv --workdir=runs/photos",
        ("config", "workdir"),
        ("distributed", "profile"),
    ),
    "check": Mode(
        "check",
        "Finds what is wrong with your table of images before anything trains: missing and damaged "
        "files, unknown labels, equal images in two splits.",
        "--config=tile_classifier --config.data.manifest=photos/manifest.csv",
        ("config",),
    ),
    "prepare": Mode(
        "prepare",
        "Packs the images of a table, or their tiles, into a data set of few large files.",
        "--config=tile_classifier --config.data.manifest=photos/manifest.csv --output=packed",
        ("config", "output"),
        ("beam_options",),
    ),
    "evaluate": Mode(
        "evaluate",
        "Measures a scorer on labelled images, with intervals, and writes a report.",
        "--workdir=runs/photos --manifest=other.csv",
        (),
        ("workdir", "split", "manifest"),
    ),
    "predict": Mode(
        "predict",
        "Scores images that have no label into a table, or a page to look at.",
        "--workdir=runs/photos --images='new/**/*.jpg' --output=scores.csv",
        ("images",),
        ("workdir", "output", "shard", "deduplicate"),
    ),
    "explain": Mode(
        "explain",
        "Shows where images are good or bad: a picture and maps for each.",
        "--workdir=runs/photos --images=new --output=maps",
        ("images", "output"),
        ("workdir",),
    ),
    "compare": Mode(
        "compare",
        "Trains every fusion on the same splits and sets them side by side.",
        "--config=gated_attention --config.data.manifest=photos/manifest.csv "
        "--workdir=runs/fusions",
        ("config", "workdir"),
    ),
    "protocol": Mode(
        "run_protocol",
        "Trains and tests a recipe on many splits: figures to publish, with their spread.",
        "--config=mos --config.data.manifest=live/manifest.csv --workdir=runs/protocol",
        ("config", "workdir"),
    ),
    "clean": Mode(
        "clean",
        "Finds training tiles whose label is hardly theirs, and trains again without them.",
        "--config=noisy_tiles --config.data.manifest=photos/manifest.csv --workdir=runs/clean",
        ("config", "workdir"),
    ),
    "compare_runs": Mode(
        "compare_runs",
        "Compares two runs on the same images, with intervals of their differences.",
        "--workdir=runs/photos --other=runs/before",
        ("workdir", "other"),
    ),
    "export": Mode(
        "export",
        "Packs a finished run into one file that scores images alone.",
        "--workdir=runs/photos --output=photos.safetensors",
        ("workdir", "output"),
    ),
}
FLAGS = {
    "config": Flag(
        "RECIPE",
        {"": "A recipe: the name of one that comes with the program, such as mos, or a file."},
    ),
    "workdir": Flag(
        "RUN",
        {
            "train": "Folder of the run. Where one was stopped, it goes on.",
            "compare": "Folder for the runs and the results.",
            "protocol": "Folder for the runs and the results.",
            "clean": "Folder for the runs and the results.",
            "": "Folder of a finished run, or the file that export has made of it.",
        },
        "the built-in scorer of photographs",
    ),
    "images": Flag(
        "IMAGES",
        {
            "": "A folder, an image, a pattern in quotes such as 'new/**/*.jpg', a .txt with one "
            "path a line, or a table with a column path."
        },
    ),
    "output": Flag(
        "PLACE",
        {
            "predict": "The table: .csv, .jsonl or .parquet; or .html, a page with a .csv beside "
            "it.",
            "explain": "Folder for the pictures, maps and their table.",
            "prepare": "Folder for the data set.",
            "export": "The file: .safetensors, or for other programs .onnx or .stablehlo.",
        },
        "scores.csv",
        "scores.csv",
    ),
    "split": Flag("NAME", {"": "Only the images of this split."}, "all splits but train"),
    "manifest": Flag("TABLE", {"": "Other labelled images than the run's."}, "the run's own"),
    "other": Flag("RUN", {"": "The run to compare with."}),
    "shard": Flag(
        "I/N",
        {"": "Only the I-th of N equal parts of the images, counted from 0, as 0/8."},
        "all images",
    ),
    "deduplicate": Flag("", {"": "Score files of equal content once."}, "off"),
    "distributed": Flag(
        "HOSTS",
        {
            "": "Train in several processes: auto, or HOST:PORT,PROCESSES,NUMBER with the number "
            "of this one, from 0."
        },
        "one process",
    ),
    "profile": Flag("", {"": "Measure a few steps, and say where their time goes."}, "off"),
    "beam_options": Flag(
        "OPTIONS",
        {"": "Run on Apache Beam with these options, as --runner=DirectRunner."},
        "in this process",
    ),
}


def usage(mode: str, command: str) -> str:
    """Writes in a line how a mode is started.

    Args:
        mode: one of `MODES`.
        command: what comes before the flags, such as `iqa-jax train`.
    """
    about = MODES[mode]
    needed = [f"--{name}={FLAGS[name].value}" for name in about.needs]
    optional = [f"[{flag_text(name)}]" for name in about.takes]
    keys = ["[--config.KEY=VALUE ...]"] if "config" in about.flags else []
    return " ".join([command, *needed, *optional, *keys])


def flag_text(name: str) -> str:
    """Writes a flag with the word for its value."""
    value = FLAGS[name].value
    return f"--{name}={value}" if value else f"--{name}"

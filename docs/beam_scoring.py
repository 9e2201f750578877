"""Scores the images of a list on a cluster, with Apache Beam.

python docs/beam_scoring.py --workdir=runs/photos --images=list.txt --output=scores
"""

import argparse
import json
from collections.abc import Iterator

import iqa_jax

try:
    import apache_beam as beam
except ModuleNotFoundError:  # The class below is of use, and tested, without it.
    beam = None


class ScoreImages(beam.DoFn if beam else object):
    """Turns batches of paths into rows; every worker loads the scorer once.

    Args:
        workdir: of the run, where every worker can read it.
    """

    def __init__(self, workdir: str):
        self._workdir = workdir

    def setup(self) -> None:
        self._scorer = iqa_jax.load_scorer(self._workdir)

    def process(self, paths: list[str]) -> Iterator[dict]:
        """Gives a row per path, as `--mode=predict` writes it."""
        rows = self._scorer.score(paths).astype(object)
        yield from rows.where(rows.notna(), None).to_dict("records")


def main() -> None:
    """Builds the pipeline of the command line and runs it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workdir", required=True)
    parser.add_argument("--images", required=True, help="a text file with a path per line")
    parser.add_argument("--output", required=True, help="prefix of the files of JSON lines")
    arguments, options = parser.parse_known_args()
    with beam.Pipeline(argv=options) as pipeline:
        _ = (
            pipeline
            | beam.io.ReadFromText(arguments.images)
            | beam.Reshuffle()
            | beam.BatchElements(min_batch_size=64, max_batch_size=256)
            | beam.ParDo(ScoreImages(arguments.workdir))
            | beam.Map(json.dumps)
            | beam.io.WriteToText(arguments.output, file_name_suffix=".jsonl")
        )


if __name__ == "__main__":
    main()

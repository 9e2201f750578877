"""Audits the data of a config before anything trains: `--mode=check`."""

import ml_collections

from input_pipeline.checks.audit import audit, format_audit
from iqa_jax.host.progress import meter, say
from iqa_jax.run import build
from iqa_jax.run.checks import check_config
from iqa_jax.training.targets import targets_from_config


def check(config: ml_collections.ConfigDict) -> int:
    """Prints everything that is wrong with the data, and what it holds.

    Returns:
        The exit status: 1 if training would refuse the data or a file cannot be read, else 0.

    Raises:
        ConfigError, ManifestError: with a sentence.
    """
    check_config(config)
    manifest = build.manifest_from_config(config)
    targets_from_config(config, manifest)
    with meter("audit", len(manifest.images)) as progress:
        report = audit(
            manifest,
            tiling=build.tiling_from_config(config),
            max_pixels=config.data.max_pixels,
            needed=build.needed_splits_from_config(config),
            progress=lambda done, _: progress.update(done),
        )
    say(format_audit(report))
    return 1 if report.errors or report.bad_images else 0

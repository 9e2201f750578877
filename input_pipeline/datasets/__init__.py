"""Published sets of opinion scores, read from the folders that their makers give out.

One file per set holds its reader; `builders` makes TFDS data sets of them, `__main__` plain
manifests. None of the sets is downloaded: their makers ask for a form, forbid copies,
or state no licence.
"""

from input_pipeline.datasets import (
    biq2021,
    csiq,
    kadid10k,
    koniq10k,
    live_in_the_wild,
    spaq,
    tid2013,
)

DATASETS = {
    module.SET.name: module.SET
    for module in (live_in_the_wild, koniq10k, kadid10k, tid2013, csiq, spaq, biq2021)
}

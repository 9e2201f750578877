"""Every key of a run, its type and its default. A recipe imports this and changes a few lines.

Sections say what a key is for. `host` may change between two starts and no answer does; `prepare`,
`compare`, `protocol` and `noise` are those of a mode; `tta`, `uncertainty` and `anomaly` come after
training. All else is what a run is. A network's part or a loss has a section of its name.
"""

import ml_collections


def get_config() -> ml_collections.ConfigDict:
    config = ml_collections.ConfigDict()
    config.seed = 0  # Same seed, same machine: same numbers.

    # The table of images and what its label column means.
    config.data = data = ml_collections.ConfigDict()
    # CSV or Parquet with a `path` and a label column, or what --mode=prepare wrote; ranking: or a
    # folder of images.
    data.manifest = ""
    data.label_column = "label"
    data.label_kind = "binary"  # binary | ordered | unordered | numeric | ranking | pairs
    data.classes = ("bad", "good")  # Lowest quality first; binary: exactly two.
    data.marginal = "marginal"  # Binary only: the third answer, scored but not trained on.
    data.minimum = 0.0  # Numeric: the scale of the opinion scores ...
    data.maximum = 100.0
    data.higher_is_better = True  # ... and its direction.
    data.label_std_column = ""  # Numeric: std of an image's opinions, for outlier_ratio, the loss.
    data.count_columns = ()  # Numeric only: ratings per score, lowest score first.
    # Numeric: further sets, as `opinion_set` makes them, that train too. Scores are compared within
    # a set; answers are on the scale above, that of data.manifest.
    data.manifests = ml_collections.ConfigDict()
    data.features = ()  # Into the head: "n_tiles", "edge_sum", "nss", numeric manifest columns.
    # train, val, test where the manifest has no `split`; a share of 0 makes no such split.
    data.fractions = (0.7, 0.15, 0.15)
    # Images that look alike (bursts, other encodings, little crops) are one group, as if the
    # manifest said so: drawn splits keep them together, given ones that part them are refused.
    data.group_near_duplicates = False
    data.split_rows = ""  # CSV of `name` and `split` to use instead, as --mode=protocol writes.
    # CSV of `image`, `row` and `column`: training tiles to leave out, as --mode=clean writes.
    data.dropped_tiles = ""
    data.max_pixels = 250_000_000  # A larger image is refused, unless predict reads it by bands.

    # What --mode=prepare writes; `tiles` says how it cuts.
    config.prepare = prepare = ml_collections.ConfigDict()
    prepare.what = "images"  # images (the files as they are) | tiles (PNG)
    prepare.images_per_shard = 500  # A shard is whole or not there; a killed run goes on after it.

    # label_kind "ranking": the photographs of the manifest are clean, and what is learnt is to rank
    # degraded versions of each. "pairs": the manifest is a table of path_a, path_b, preference.
    config.ranking = ranking = ml_collections.ConfigDict()
    ranking.types = ()  # Of distortions to train on; (): all but `unseen_types`.
    ranking.unseen_types = ()  # Only evaluated: unseen_pair_accuracy.
    ranking.crop = 512  # Largest side of the versions that are evaluated, in pixels.

    # How an image is cut.
    config.tiles = tiles = ml_collections.ConfigDict()
    tiles.size = 256  # Pixels, square.
    tiles.stride = 256  # Smaller than `size`: overlapping tiles.
    tiles.edge = "shift"  # Last row and column: shift (inwards) | pad | drop.
    tiles.shrink = 1  # Sides are made so many times smaller first: 1 | 2 | 4 | 8; JPEGs decode so.
    # Instead of shrink: an image whose shorter side has more pixels is brought down to so many by
    # averaging areas, so that every camera's are judged at about the size people saw; 0: off.
    tiles.reference_side = 0
    tiles.random = True  # Training tiles move at random, by less than a stride ...
    # ... and are cut from the image resized by one of these factors, or by none, each as often.
    tiles.random_scales = ()
    tiles.edge_sum_min = 0  # Training drops tiles with fewer Canny edge pixels than this ...
    tiles.edge_sum_max = -1  # ... or more than this; -1: no limit.

    # What a training example is.
    config.bags = bags = ml_collections.ConfigDict()
    bags.tiles = 1  # 1: every tile is an example; more: every image is, with so many tiles.
    bags.tiles_per_chunk = 0  # Encode so many tiles of a bag at once, to bound memory; 0: all.
    bags.cached = False  # Train on embeddings kept on disk; needs model.trainable_layers = 0.
    bags.copies = 1  # Embeddings per image: the grid's, and of tiles moved and mirrored.
    bags.cache_folder = "~/.cache/iqa_jax/embeddings"

    config.batch_size = 32  # Examples per update, over all devices.
    config.accumulation_steps = 1  # Parts in which the batch goes through the network: less memory.
    config.balanced_sampling = True  # Every class, or set of images, as often as the others.
    config.epochs = 20.0  # Passes over the training tiles; a part of one, too.

    # Random changes of training tiles, made on the device.
    config.augment = augment = ml_collections.ConfigDict()
    augment.flip_horizontal = True
    augment.flip_vertical = True
    augment.hue_jitter = 0.1  # Largest turn of the hue, as a part of the colour circle.
    augment.saturation_jitter = 0.2  # Saturation is multiplied by 1 ± this.

    config.model = model = ml_collections.ConfigDict()
    model.encoder = "mobilenet_v2"  # mobilenet_v2 | shallow_cnn (random at first, all of it trains)
    # Of the encoder: imagenet | none | photo_scorer | the workdir or the file of another run.
    model.weights = "imagenet"
    model.weights_of = "encoder"  # What is taken from another run: encoder | all.
    # Of feature maps: mean (of the last) | last (its mean and std) | stages (mean and std of every
    # block's output) | layers (also of the wider maps within the blocks: 3.6 times as long).
    model.pooling = "mean"
    model.norm_embeddings = False  # Bring all dimensions of the embeddings to one scale.
    model.trainable_layers = -1  # Train only the last N of 52 convolutions; -1: all.
    model.norm_statistics = "batch"  # BatchNorm in training: batch | running (as at evaluation).
    # Inside the network, over the tiles of a bag: mean_embedding | max_embedding | attention |
    # gated_attention | gated_attention_positions | tile_vit.
    model.fusion = "mean_embedding"
    model.hidden_dim = 128  # First of the head's two layers; 0: one layer, which begins at 0.
    model.dropout = 0.5
    # huber, l1, l2: answer with the mean of the head's answer and of a kernel ridge regression's on
    # the embeddings of training images, fitted after training.
    model.kernel_ridge = False
    # Workdirs of finished runs with the same tiles, labels and fusion: an image's answer is the
    # mean of theirs and this run's.
    model.ensemble = ()
    model.dtype = "float32"  # Of the computation: float32 | bfloat16; parameters stay float32.

    # How an encoder is built.
    config.encoder = encoder = ml_collections.ConfigDict()
    encoder.mobilenet_v2 = mobilenet_v2 = ml_collections.ConfigDict()
    mobilenet_v2.width_multiplier = 1.0  # ImageNet weights exist for 1.0.
    mobilenet_v2.drop_block_size = 0  # Side of a DropBlock on the last feature map; 0: off.
    mobilenet_v2.drop_block_keep = 0.9  # Reached linearly over the run, from 1.

    # How a fusion is built.
    config.fusion = fusion = ml_collections.ConfigDict()
    fusion.attention = attention = ml_collections.ConfigDict()
    attention.attention_dim = 128  # Hidden width of the attention over tiles.
    fusion.gated_attention = gated_attention = ml_collections.ConfigDict()
    gated_attention.attention_dim = 128
    fusion.gated_attention_positions = gated_positions = ml_collections.ConfigDict()
    gated_positions.attention_dim = 128
    gated_positions.positions = "sincos_2d"  # learned_1d | learned_2d | sincos_2d | hash_grid
    gated_positions.position_dim = 64  # Width of a position before it is projected.
    gated_positions.position_cells = 10  # Side of the learned tables; any grid maps onto them.
    fusion.tile_vit = tile_vit = ml_collections.ConfigDict()
    tile_vit.width = 192
    tile_vit.depth = 2
    tile_vit.heads = 4
    tile_vit.mlp_dim = 384
    tile_vit.dropout = 0.1
    tile_vit.positions = "sincos_2d"  # none | learned_1d | learned_2d | sincos_2d | hash_grid
    tile_vit.position_cells = 10
    tile_vit.readout = "class_token"  # class_token | mean | attention
    tile_vit.attention_dim = 128  # Of the readout "attention".

    config.loss = loss = ml_collections.ConfigDict()
    # "": the first. Classes: cross_entropy | symmetric_cross_entropy | generalised_cross_entropy,
    # the latter two where labels may be wrong; supcon | triplet, which learn embeddings that a
    # probe then answers from; ordered ones also: coral | corn | emd. Numeric: huber | l1 | l2 |
    # emd, the last on the distribution of ratings. Ranking, pairs: hinge | logistic
    # (Bradley-Terry) | probit (Thurstone).
    loss.name = ""
    loss.use_std_weights = False  # Images on whose label people agree weigh more.
    loss.tile_weight = 0.0  # Bags: this much of the loss of each tile alone is added.
    loss.cross_entropy = cross_entropy = ml_collections.ConfigDict()
    cross_entropy.label_smoothing = 0.1
    loss.sce = sce = ml_collections.ConfigDict()  # symmetric_cross_entropy.
    sce.alpha = 0.1  # Weight of the cross-entropy ...
    sce.beta = 1.0  # ... and of the reverse one, which wrong labels pull less.
    loss.gce = gce = ml_collections.ConfigDict()  # generalised_cross_entropy.
    gce.q = 0.7  # Towards 0 it is cross_entropy; at most 1.
    loss.supcon = supcon = ml_collections.ConfigDict()
    supcon.projection_dim = 64  # Of the embeddings, which have length 1.
    supcon.temperature = 0.1  # The smaller, the more the nearest others count.
    loss.triplet = triplet = ml_collections.ConfigDict()
    triplet.projection_dim = 64  # As supcon's.
    triplet.margin = 0.2  # Of squared distances between embeddings, up to 4.
    loss.regression = regression = ml_collections.ConfigDict()  # huber, l1, l2.
    regression.plcc_weight = 0.0  # This much of 1 - PLCC over the batch is added.
    loss.emd = emd = ml_collections.ConfigDict()  # Numeric.
    emd.bins = 10  # Without `data.count_columns`: scores, from minimum to maximum.
    loss.comparison = comparison = ml_collections.ConfigDict()  # hinge, logistic, probit.
    comparison.margin = 0.1  # Unit of score differences, a share of minimum to maximum.

    config.optimizer = optimizer = ml_collections.ConfigDict()  # AdamW.
    optimizer.learning_rate = 1e-4
    # Decay of kernels, times the learning rate; biases and BatchNorm are not decayed.
    optimizer.weight_decay = 1e-3  # Of fusion and head; the encoder's is 0.001.
    optimizer.warmup_epochs = 1.0  # Linear from 0.
    optimizer.decay = "steps"  # Then: steps | cosine (to 0 at the end of the run).
    optimizer.decay_factor = 0.8  # steps: the rate is multiplied by this ...
    optimizer.decay_every_epochs = 4.0  # ... every so often.
    optimizer.encoder_factor = 1.0  # The encoder's learning rate, relative to the rest's.
    optimizer.gradient_clip = 5.0  # Global norm.
    # Answer with an average of the weights over the steps, in which a step counts this times as
    # much as the next; 0: off.
    optimizer.ema_decay = 0.0
    optimizer.start_share = 0.0  # Share of the weights at the start in it.

    # The best checkpoint, and when to give up on a better one; read off the split `val`.
    config.early_stopping = early_stopping = ml_collections.ConfigDict()
    # Any metric of metrics.json; errors count downwards. "": train all epochs and answer with the
    # last checkpoint; a split `val` is then not needed.
    early_stopping.metric = "auroc"
    early_stopping.patience = 5  # Evaluations without a better value.

    config.evaluate_every_epochs = 1.0
    config.checkpoint_every_steps = 200
    config.log_every_steps = 20

    config.evaluation = evaluation = ml_collections.ConfigDict()
    evaluation.fusion = "mean_score"  # The headline: mean_score | vote | the model's own fusion.

    # Test-time augmentation: the answer is the mean over views of an image. The loop never uses it.
    config.tta = tta = ml_collections.ConfigDict()
    tta.flips = "none"  # none | horizontal | both; each makes every other view twice or four times.
    tta.shifts = 0  # Further views whose grid of tiles is moved.
    tta.scales = ()  # Further views of the image resized by these factors.

    # How far to trust an answer: uncertainty, mutual_information, lower, upper, ood and abstain.
    config.uncertainty = uncertainty = ml_collections.ConfigDict()
    uncertainty.mc_samples = 0  # Answers with dropout on, besides the answer itself; 0: off.
    uncertainty.split = "val"  # Fits what follows. One that chose no checkpoint keeps its promise.
    uncertainty.coverage = 0.9  # Of intervals (numeric) and of class sets, on which abstain rests.
    uncertainty.scale_intervals = False  # Numeric: as wide as samples and views differ.
    uncertainty.ood = "nearest"  # Distance to the training images: none | nearest | mahalanobis
    uncertainty.ood_quantile = 0.95  # Of the split's distances; beyond it an image is called ood.
    uncertainty.ood_images = 2000  # Training images that the distance is fitted on, at most.

    # How unlike tiles of good images a tile is: a map, and a score per image.
    config.anomaly = anomaly = ml_collections.ConfigDict()
    anomaly.kind = "none"  # none | mahalanobis | knn | coreset; fitted on the split `train`.
    anomaly.tiles = 10_000  # Tiles of good images that it is fitted on, at most.
    anomaly.memory = 1000  # knn, coreset: of these, so many are remembered, at most.
    anomaly.quantile = 1.0  # Of an image's tiles, for its score; 1: the worst tile.

    # What --mode=compare trains: each fusion on each split.
    config.compare = compare = ml_collections.ConfigDict()
    compare.fusions = (
        "mean_embedding", "max_embedding", "attention", "gated_attention",
        "gated_attention_positions", "tile_vit",
    )  # fmt: skip
    compare.splits = 10  # Split k is drawn with seed + k; 1 where the manifest has its own.
    compare.fractions = (0.6, 0.2, 0.2)  # train, val, test of the splits that are drawn.

    # What --mode=protocol trains: the recipe on every split, tested on rows it never saw.
    config.protocol = protocol = ml_collections.ConfigDict()
    protocol.kind = "random"  # random | k_fold | leave_one_group_out | cross_dataset
    protocol.splits = 10  # random, cross_dataset: draws, with seed + k; k_fold: folds.
    protocol.fractions = (0.6, 0.2, 0.2)  # train, val, test; test is drawn by kind random only.
    protocol.test_manifest = ""  # cross_dataset: another manifest, all of it tested on.
    # Numeric only; beside the recipe, fitted on each split: ridge | svr | brisque_svr | deep_biq.
    protocol.baselines = ()

    # What --mode=clean does: find training tiles whose label is hardly theirs, train without them.
    config.noise = noise = ml_collections.ConfigDict()
    noise.folds = 5  # Of the training groups; a tile is judged by a run that never saw its group.
    noise.filter = "confident_learning"  # confident_learning | band | small_loss
    noise.band = (0.2, 1.0)  # band: a tile is kept if P(its label) is in here, ends included.
    noise.keep_share = 0.8  # small_loss: of each class, the tiles with the smallest loss.

    # What a host can do: it may change between two starts, and no answer does.
    config.host = host = ml_collections.ConfigDict()
    host.threads = 4  # Threads that decode and cut ...
    host.workers = 0  # ... or, for training on a host of many cores, so many processes; 0: threads.
    host.cache_gigabytes = 2.0  # Decoded training images kept in memory, by every worker its own.
    host.tiles_per_chunk = 64  # Tiles per encoder call, except in training.
    # What pictures look like, for data.group_near_duplicates: 300 bytes each.
    host.signature_folder = "~/.cache/iqa_jax/signatures"
    host.parallel = "jit"  # jit | pmap; both data-parallel over all devices.
    return config


def opinions_end_to_end() -> ml_collections.ConfigDict:
    """Gives what recipes have in common that train an encoder on thousands of opinion scores."""
    config = get_config()
    config.data.label_kind = "numeric"
    config.data.label_column = "mos"
    # No checkpoint is chosen: what `val` then fits holds what it promises.
    config.early_stopping.metric = ""
    config.model.pooling = "last"
    config.model.norm_statistics = "running"
    config.model.hidden_dim = 0
    config.model.dropout = 0.0
    config.augment.hue_jitter = 0.0
    config.augment.saturation_jitter = 0.0
    config.augment.flip_vertical = False
    config.batch_size = 16
    config.epochs = 1
    config.optimizer.learning_rate = 2e-4
    config.optimizer.warmup_epochs = 0.05
    config.optimizer.decay = "cosine"
    config.optimizer.ema_decay = 0.995
    return config


def opinion_set(
    path: str = "",
    *,
    label_column: str = "mos",
    minimum: float = 0.0,
    maximum: float = 100.0,
    higher_is_better: bool = True,
    share: float = 1.0,
) -> ml_collections.ConfigDict:
    """Gives a further set of images with opinion scores, for `data.manifests`."""
    one = ml_collections.ConfigDict()
    one.path = path  # CSV or Parquet, as data.manifest.
    one.label_column = label_column
    one.minimum = minimum  # Of its own scale ...
    one.maximum = maximum
    one.higher_is_better = higher_is_better  # ... and its direction.
    one.share = share  # balanced_sampling draws it so often for each time of data.manifest.
    return one

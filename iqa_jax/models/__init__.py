"""Networks: the tile encoder, the fusions of tile embeddings, and the heads."""

"""Networks that turn a tile into an embedding, and where their weights come from."""

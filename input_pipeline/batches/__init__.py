"""Draws and lays out batches of bags, embeddings, rankings and pairs, and lists of any length."""

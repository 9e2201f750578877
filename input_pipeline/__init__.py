"""From files to batches of NumPy arrays: manifest, images, tiles, bags, and sample data.

Nothing here imports jax or the model package, so that data work runs anywhere and in any process.
"""

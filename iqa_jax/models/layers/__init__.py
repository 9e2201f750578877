"""Layers that encoders are built of."""

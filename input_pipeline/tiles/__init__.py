"""Cuts pictures into tiles, and computes what is known of a tile or picture without a network."""

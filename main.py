"""Trains, evaluates and applies image-quality scorers; `python main.py --help` tells how."""

from iqa_jax.program import run_program

if __name__ == "__main__":
    run_program()

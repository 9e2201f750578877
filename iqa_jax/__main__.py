"""`python -m iqa_jax`: main.py for every folder, where the package is installed."""

from iqa_jax.program import run_program

if __name__ == "__main__":
    run_program()

"""One file for each --mode of the command line, and nothing else."""

SOME_FAILED = 3

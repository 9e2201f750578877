"""The machine a process runs on: memory, processes, compiled programs, progress."""

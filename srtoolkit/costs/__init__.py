"""The cost of a run, before anything is loaded: tokens, operations, memory, downloads, time."""

"""What a run will take, before anything is loaded: tokens, operations, memory, downloads, time."""

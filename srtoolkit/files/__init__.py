"""Files that are there whole or not at all: atomic writes, hashes, full disks."""

"""A paper's figures from one command: each is measured once, drawn, and compared with the paper's numbers."""

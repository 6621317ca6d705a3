"""A paper's figures from one command: what each needs, measured once, drawn, and set beside the paper's numbers."""

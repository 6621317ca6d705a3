"""The panel of the plane through three prompts."""

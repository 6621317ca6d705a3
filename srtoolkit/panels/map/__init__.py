"""The map of prompts: its widget, its picture for a file, and the prompts as one types them."""

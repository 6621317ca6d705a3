"""The Hugging Face hub: its cache, downloads that are checked, its failures in words."""

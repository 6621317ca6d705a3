"""One measurement over many models and revisions, resumable, here or on other machines."""

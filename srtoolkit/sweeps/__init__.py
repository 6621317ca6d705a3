"""One measurement over many models and revisions, resumable, on this machine or on others."""

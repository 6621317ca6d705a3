"""The parts that panels are made of: pictures, controls, a background worker."""

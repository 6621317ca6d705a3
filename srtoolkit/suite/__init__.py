"""The nano suite: Llama-architecture models from 0.4 to 5.6 million parameters, trained by this project on
public-domain English, with checkpoints. ``MODEL_CARD.md`` says what they are; ``python -m srtoolkit.suite`` makes them.
"""

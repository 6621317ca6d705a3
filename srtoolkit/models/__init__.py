"""Models: where each name leads, how they load, where their parts are, what identifies them."""

"""Reading and replacing the residual stream; the one room, beside the model itself, that knows nnsight."""

"""The methods of patching: ways to put points in at one position of a prompt.

One position is replaced, mostly the last, so everything before it is the same for all points of one context. What
stands behind it, up to the token that is read, sees the point and runs again for each: the point and these tokens are
its branch. The methods differ in how much of the rest they reuse:

``"full"``
    Every point runs the whole prompt. Slow, and right for every architecture: the yardstick of the others.
``"prefix"``
    Keys and values of the prefix are computed once per batch; every branch is a sequence that continues a copy of them,
    and starts after the patched block.
``"parallel"``
    Keys and values of the prefix are computed once per context, and its branches stand side by side in *one* sequence,
    all at the same positions; a mask lets each see the prefix and itself. No branch has a copy of the prefix, and every
    matrix product has a row for each of their tokens.
``"joint"``
    The same, but the prefix goes through the blocks behind the patch in that sequence too, so that their weights are
    read once. It runs again for every 128 tokens of branches, and attention over a long one costs more than its cached
    keys would.

``"auto"`` takes the fastest that gives what ``"full"`` gives, on the very model and context at hand
(:mod:`srtoolkit.patching.choice`). A new method is a :class:`~srtoolkit.patching.methods.method.Method` in a file of
its own, and a name in ``METHODS``.
"""

from srtoolkit.patching.methods.full import Full
from srtoolkit.patching.methods.joint import Joint
from srtoolkit.patching.methods.method import Method
from srtoolkit.patching.methods.parallel import Parallel
from srtoolkit.patching.methods.prefix import Prefix

#: The methods by name, the fastest first.
METHODS: dict[str, Method] = {method.name: method for method in (Joint(), Parallel(), Prefix(), Full())}

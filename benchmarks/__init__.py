"""How fast srtoolkit is, beside what people would otherwise write and beside what the machine could do.

    pip install -e '.[benchmarks]'
    python -m benchmarks [--quick] [--only curves memory] [--repeats 3]

``contestants`` has the same work in five ways, ``work`` says how much of it is measured, ``roofline`` what it needs at
least, ``timing`` and ``memory`` measure, ``table``, ``scaling`` and ``picture`` show. ``panels`` is a benchmark of its
own.
"""

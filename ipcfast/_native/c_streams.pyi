"""The streams of C's standard library: what they have buffered goes out before descriptors are moved."""

def flush_standard_output() -> None:
    """Write out what printf and its like have buffered; whatever goes wrong is nobody's business."""

"""What codecs ask about values and documents, answered in one pass. Knows no channel, and not the C core."""

def is_plain(value: object, depth_max: int, *, with_bytes: bool = False) -> bool:
    """Return whether a value can be handed to an encoder as it is.

    Plain are None, bool, int of 64 bits (signed or unsigned), finite float, str, and list, tuple and dict
    with keys of str that hold nothing else, at most ``depth_max`` of them within each other; with
    ``with_bytes`` also bytes, bytearray and memoryview. Exactly these types: nobody knows what an encoder
    would make of a subclass.

    No code of the value runs, whatever it is. Lone surrogates in text are not looked for: every encoder finds
    them by itself.
    """

def is_nested_deeper(document: bytes, depth_max: int) -> bool:
    """Return whether a valid JSON document has more than ``depth_max`` arrays and objects within each other.

    For what is no JSON the answer means nothing. Large documents are read without the GIL.
    """

"""Texts as messages: compiled, as Python, and by a reader of protocol buffers."""

import mapbox_vector_tile.Mapbox.vector_tile_pb2 as pb2
import numpy as np
import pytest

from geogrid._kernels.messages import framed_texts

TEXTS = ["", "一", "12号微网格", "x" * 123, "x" * 125, "x" * 127, "x" * 128, "网" * 6_000]


@pytest.mark.parametrize("run", [framed_texts, framed_texts.py_func])
def test_texts_are_read_back_as_values_of_a_layer(run):
    given = [text.encode() for text in TEXTS]
    starts = np.concatenate([[0], np.cumsum([len(text) for text in given])])
    out, found = run(np.frombuffer(b"".join(given), np.uint8), starts, 0x22, 0x0A)
    for k, text in enumerate(TEXTS):
        layer = pb2.tile.layer()
        layer.MergeFromString(out[found[k] : found[k + 1]].tobytes())
        assert [value.string_value for value in layer.values] == [text]
    assert found[-1] == len(out)

"""Finds pictures that look alike among many: copies, other encodings, crops of little, bursts.

Every pair is compared, by counting the bits in which two 64-bit numbers differ; only of the few
pairs whose hashes are near are the thumbnails looked at. So nothing is missed that the two
thresholds allow, and the time grows with the square of the number of pictures.
"""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, Int, Shaped
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

# Two pictures look alike if so few of the 64 bits of their hashes differ, and their thumbnails
# correlate so much. Of the 3,782 pairs that this gives among the 12,000 photographs of BIQ2021, the
# 308 that are neither neighbours in a burst nor nearly equal were looked at: 30 show different
# things, 24 of them at 12 bits, where 800 pairs are; at 10 bits bursts under other light are lost.
# By correlation alone everything with a horizon is alike, by bits alone many a dark picture.
MOST_BITS = 12
LEAST_CORRELATION = 0.8

# What is compared at a time stays in a core's own cache.
_QUERIES, _REFERENCES = 64, 4096
_PAIRS_LOOKED_AT = 1 << 14
_EDGES_KEPT = 1 << 20


class Alike(NamedTuple):
    """Pairs of pictures that look alike, by their places in what was compared."""

    query: Int[np.ndarray, " pair"]
    reference: Int[np.ndarray, " pair"]
    bits: Int[np.ndarray, " pair"]


def find_alike(
    queries: Shaped[np.ndarray, " query"], references: Shaped[np.ndarray, " reference"]
) -> Iterator[Alike]:
    """Yields all pairs of a query and a reference that look alike, some queries at a time.

    Flat pictures are like nothing.

    Args:
        queries, references: signatures; where both are the same array, each pair of it comes once,
            the query before the reference, and no picture with itself.
    """
    is_same = queries is references
    query_places = np.flatnonzero(~queries["is_flat"])
    places = query_places if is_same else np.flatnonzero(~references["is_flat"])
    query_hashes = queries["perceptual_hash"][query_places]
    hashes = references["perceptual_hash"][places]
    query_thumbnails = _normalise(queries["thumbnail"][query_places])
    thumbnails = query_thumbnails if is_same else _normalise(references["thumbnail"][places])

    def compare(start: int) -> Alike:
        query, reference, bits = _find_near(
            query_hashes[start : start + _QUERIES], hashes, start if is_same else 0
        )
        query = query + start
        if is_same:
            is_new = query < reference
            query, reference, bits = query[is_new], reference[is_new], bits[is_new]
        is_alike = np.concatenate(
            [np.zeros(0, bool)]
            + [
                np.einsum("pd,pd->p", query_thumbnails[query[part]], thumbnails[reference[part]])
                >= LEAST_CORRELATION
                for part in _parts(len(query))
            ]
        )
        return Alike(query_places[query[is_alike]], places[reference[is_alike]], bits[is_alike])

    with ThreadPoolExecutor(os.cpu_count()) as threads:
        yield from threads.map(compare, range(0, len(query_places), _QUERIES))


def cluster(signatures: Shaped[np.ndarray, " picture"]) -> Int[np.ndarray, " picture"]:
    """Numbers what hangs together: pictures that look alike, directly or through others.

    Files of equal content hang together too, flat pictures among them.
    """
    count = len(signatures)
    content, known = signatures["content"], np.flatnonzero(signatures["content"])
    _, first, inverse = np.unique(content[known], return_index=True, return_inverse=True)
    edges, waiting = [(known, known[first[inverse]])], 0
    for found in find_alike(signatures, signatures):
        edges.append((found.query, found.reference))
        waiting += len(found.query)
        if waiting > _EDGES_KEPT:  # Thousands of frames of one film have millions of pairs.
            edges, waiting = [(np.arange(count), _connect(count, edges))], 0
    return _connect(count, edges)


def _find_near(
    queries: Shaped[np.ndarray, " query"], references: Shaped[np.ndarray, " reference"], start: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Finds the references from `start` on whose hashes differ from a query's in few bits."""
    found = []
    for begin in range(start, len(references), _REFERENCES):
        bits = np.bitwise_count(queries[:, None] ^ references[begin : begin + _REFERENCES])
        query, reference = np.divmod(np.flatnonzero(bits <= MOST_BITS), bits.shape[1])
        found.append((query, reference + begin, bits[query, reference]))
    query, reference, bits = (np.concatenate(part) for part in zip(*found, strict=True))
    return query, reference, bits.astype(np.int64)


def _normalise(thumbnails: Shaped[np.ndarray, "picture 256"]) -> Float32[np.ndarray, "picture 256"]:
    """Brings thumbnails to mean 0 and length 1, so that a product of two is their correlation."""
    values = thumbnails.astype(np.float32)
    values -= values.mean(axis=1, keepdims=True)
    values /= np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-6)
    return values


def _parts(count: int) -> list[slice]:
    return [slice(start, start + _PAIRS_LOOKED_AT) for start in range(0, count, _PAIRS_LOOKED_AT)]


def _connect(count: int, edges: list[tuple[np.ndarray, np.ndarray]]) -> Int[np.ndarray, " picture"]:
    """Gives each picture the first one that it hangs together with."""
    rows, columns = (np.concatenate(ends) for ends in zip(*edges, strict=True))
    graph = coo_array((np.ones(len(rows), bool), (rows, columns)), shape=(count, count))
    _, component = connected_components(graph, directed=False)
    _, first = np.unique(component, return_index=True)
    return first[component]

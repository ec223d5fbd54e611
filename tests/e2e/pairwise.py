"""A small, deterministic pairwise cover: every pair of values of every two factors occurs in some row."""

from itertools import combinations, product


def pairs_of(row):
    return {((i, row[i]), (j, row[j])) for i, j in combinations(range(len(row)), 2)}


def cover(*factors):
    """Rows (tuples, one value of each factor), greedily the one with most uncovered pairs; ties go to the first.

    A factor's values must be distinct. The result depends on the arguments alone.
    """
    open_pairs = set()
    for (i, a), (j, b) in combinations(enumerate(factors), 2):
        open_pairs |= {((i, x), (j, y)) for x, y in product(a, b)}
    candidates = [(row, pairs_of(row)) for row in product(*factors)]
    rows = []
    while open_pairs:
        row, pairs = max(candidates, key=lambda c: len(c[1] & open_pairs))
        rows.append(row)
        open_pairs -= pairs
    return sorted(rows, key=lambda row: [f.index(v) for f, v in zip(factors, row)])

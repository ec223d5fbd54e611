"""Tests of the pairwise cover and of the interop matrix made with it."""

import unittest
from itertools import combinations, product

import interop_test
from pairwise import cover


class Pairwise(unittest.TestCase):
    FACTORS = [("a", "b", "c", "d", "e"), (1, 2, 3), (True, False), ("x", "y")]

    def test_every_pair_of_values_occurs(self):
        rows = cover(*self.FACTORS)
        for (i, a), (j, b) in combinations(enumerate(self.FACTORS), 2):
            for x, y in product(a, b):
                self.assertTrue(any(row[i] == x and row[j] == y for row in rows), (x, y))

    def test_the_cover_is_small_and_always_the_same(self):
        rows = cover(*self.FACTORS)
        self.assertLessEqual(len(rows), 17)  # 5 x 3 pairs of the largest factors, and little more
        self.assertEqual(rows, cover(*self.FACTORS))

    def test_the_interop_matrix_has_every_cipher_both_ways(self):
        for direction in ("client", "server"):
            self.assertEqual({case.cipher for case in interop_test.cases(direction)}, set(interop_test.CIPHERS))
        self.assertEqual(len(interop_test.CIPHERS), 13)

    def test_the_parts_of_the_matrix_make_the_whole(self):
        whole = interop_test.cases("client")
        parts = [case for i in range(3) for case in whole[i::3]]
        self.assertEqual(sorted(map(str, parts)), sorted(map(str, whole)))


if __name__ == "__main__":
    unittest.main()

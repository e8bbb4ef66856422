# SPDX-License-Identifier: Apache-2.0
"""The Merkle tree of certificate transparency, exactly: hashes, proofs and their verification.

A leaf is hashed as SHA-256(0x00 ‖ record) and a node as SHA-256(0x01 ‖ left ‖ right), so that no
leaf can pass for a node. An inclusion proof shows that one record is in the tree; a consistency
proof shows that an older tree is a prefix of a newer one, so nothing below it was rewritten.

Source: Laurie, Langley, Kasper (2013), RFC 6962, section 2.1; the verification procedures are
those of RFC 9162, sections 2.1.3.2 and 2.1.4.2.
"""

from collections.abc import Sequence
from hashlib import sha256

EMPTY_ROOT = sha256(b"").digest()
"""Root of the tree without leaves."""


def leaf_hash(record: bytes) -> bytes:
    """Return the 32-byte hash of one leaf."""
    return sha256(b"\x00" + record).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the 32-byte hash of an inner node."""
    return sha256(b"\x01" + left + right).digest()


class Frontier:
    """The right edge of a growing tree: O(log n) hashes that give the root at every size.

    Example:
        >>> edge = Frontier()
        >>> edge.append(leaf_hash(b""))
        >>> edge.size, edge.root().hex()[:8]
        (1, '6e340b9c')
    """

    def __init__(self) -> None:
        self.size = 0
        self._peaks: list[bytes] = []  # roots of the perfect subtrees, largest first

    def append(self, leaf: bytes) -> None:
        """Add the hash of one leaf."""
        grown, carry = self.size, leaf
        while grown & 1:  # a trailing 1 bit is a peak of the same height: merge
            carry = node_hash(self._peaks.pop(), carry)
            grown >>= 1
        self._peaks.append(carry)
        self.size += 1

    def root(self) -> bytes:
        """Return the root of all leaves so far."""
        if not self._peaks:
            return EMPTY_ROOT
        root = self._peaks[-1]
        for peak in reversed(self._peaks[:-1]):
            root = node_hash(peak, root)
        return root


def tree_root(leaves: Sequence[bytes]) -> bytes:
    """Return the root over leaf hashes."""
    edge = Frontier()
    for leaf in leaves:
        edge.append(leaf)
    return edge.root()


def inclusion_proof(index: int, leaves: Sequence[bytes]) -> list[bytes]:
    """Return the audit path of leaf ``index``, nearest sibling first.

    Args:
        index: Place of the leaf, 0-based.
        leaves: Leaf hashes of the whole tree.

    Raises:
        IndexError: There is no such leaf.

    Source:
        RFC 6962, section 2.1.1.
    """
    if not 0 <= index < len(leaves):
        raise IndexError(f"index must lie below {len(leaves)}, got {index}.")
    if len(leaves) == 1:
        return []
    cut = _split(len(leaves))
    if index < cut:
        return [*inclusion_proof(index, leaves[:cut]), tree_root(leaves[cut:])]
    return [*inclusion_proof(index - cut, leaves[cut:]), tree_root(leaves[:cut])]


def verify_inclusion(
    leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes
) -> bool:
    """Say whether ``proof`` shows that ``leaf`` stands at ``index`` of the tree of ``size``.

    Source:
        RFC 9162, section 2.1.3.2.
    """
    if not (0 <= index < size and len(leaf) == len(root) == sha256().digest_size):
        return False
    node, last, got = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            return False
        if node & 1 or node == last:
            got = node_hash(sibling, got)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            got = node_hash(got, sibling)
        node, last = node >> 1, last >> 1
    return last == 0 and got == root


def consistency_proof(first: int, leaves: Sequence[bytes]) -> list[bytes]:
    """Return the proof that the tree of the first ``first`` leaves is a prefix of the whole.

    Raises:
        IndexError: ``first`` is not between 1 and the number of leaves.

    Source:
        RFC 6962, section 2.1.2.
    """
    if not 0 < first <= len(leaves):
        raise IndexError(f"first must lie between 1 and {len(leaves)}, got {first}.")
    return _subproof(first, leaves, whole=True)


def _subproof(first: int, leaves: Sequence[bytes], *, whole: bool) -> list[bytes]:
    """SUBPROOF of RFC 6962; ``whole`` is its flag b: the old root is known to the verifier."""
    if first == len(leaves):
        return [] if whole else [tree_root(leaves)]
    cut = _split(len(leaves))
    if first <= cut:
        return [*_subproof(first, leaves[:cut], whole=whole), tree_root(leaves[cut:])]
    return [*_subproof(first - cut, leaves[cut:], whole=False), tree_root(leaves[:cut])]


def verify_consistency(
    first: int, second: int, first_root: bytes, second_root: bytes, proof: Sequence[bytes]
) -> bool:
    """Say whether ``proof`` shows the tree of size ``first`` to be a prefix of ``second``'s.

    Source:
        RFC 9162, section 2.1.4.2.
    """
    if not 0 < first <= second:  # that every tree begins with the empty one needs no proof
        return False
    if first == second:
        return not proof and first_root == second_root
    path = list(proof) if first & (first - 1) else [first_root, *proof]
    if not path:
        return False
    node, last = first - 1, second - 1
    while node & 1:
        node, last = node >> 1, last >> 1
    old = new = path[0]
    for sibling in path[1:]:
        if last == 0:
            return False
        if node & 1 or node == last:
            old, new = node_hash(sibling, old), node_hash(sibling, new)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            new = node_hash(new, sibling)
        node, last = node >> 1, last >> 1
    return last == 0 and old == first_root and new == second_root


def _split(size: int) -> int:
    """Return the largest power of two below ``size``."""
    return 1 << (size - 1).bit_length() - 1

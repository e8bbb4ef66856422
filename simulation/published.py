# SPDX-License-Identifier: Apache-2.0
"""Public comments of a run: the operator's, and those that their authors publish.

Publishing is an act of the author, outside ε; `--public-comments F` plays it for a seeded share of
the training comments. A comment on a test row is never among them.
"""

import numpy as np

from simulation.dataset import Dataset, PublicComments
from simulation.splits import Split


def published(dataset: Dataset, split: Split, share: float, seed: int) -> PublicComments:
    """Return the operator's comments, then a seeded share of the training comments.

    Args:
        dataset: The data set.
        split: Its split: comments on test rows and in held-out histories stay private.
        share: Share of the training comments that their authors publish, in [0, 1].
        seed: Seed of the choice.

    Returns:
        Public comments; rows of the operator's keep their number, so that `opened` stays right.
    """
    given = dataset.public_comments or PublicComments(
        np.zeros(0, np.int64), np.zeros(0, np.int64), (), np.zeros(0)
    )
    train = split.train
    wrote = np.flatnonzero([bool(text) for text in train.comments])
    chosen = np.random.default_rng(seed).permutation(len(wrote))[: round(share * len(wrote))]
    rows = np.sort(wrote[chosen])
    return PublicComments(
        items=np.concatenate([given.items, train.items[rows]]),
        authors=np.concatenate([given.authors, train.users[rows]]),
        texts=(*given.texts, *train.comments[rows].tolist()),
        helpful=np.concatenate([given.helpful, train.helpful[rows]]),
    )

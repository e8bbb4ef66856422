# SPDX-License-Identifier: Apache-2.0
"""Trunk gradients: ∇θ of each user's multi-task loss, minimiser's sign, one vector a user.

Built on Opacus `GradSampleModule(..., loss_reduction="sum")`: the cohort is the batch, the user is
the sample, and a device is a cohort of one. So the privacy unit is the person, never the rating,
and device and simulator run the same lines. Nothing is averaged (a mean would divide every vector
by U and no clip would bind) and nothing is clipped: that is the door's part (`shared.privacy`).

Two trunks, two queries: `ItemTrunk` (offset o and factors Δ of the catalogue, `trunk_items`) and
`NetworkTrunk` (MLP and heads, `trunk_network`). Only this file imports torch and Opacus.

The network is one Opacus layer with its own grad sampler. Two nn.Linear layers are exact as well,
but autograd then also computes the summed gradient that nobody reads; and a layer of our own takes
a displacement of the weights per user, which local steps need. Measured in docs/log.md.

A user's vector never depends on who else is in the batch, except in the last bits (padding
changes the order of sums). A NaN of one user stays in that user's row. No events, zero vector.

Source: Yousefpour et al. (2021), "Opacus", https://arxiv.org/abs/2109.12298; PRIVACY §5.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from opacus.grad_sample import GradSampleModule, register_grad_sampler
from torch import Tensor, nn

from shared.model.network import NetworkShape
from shared.model.tasks import UserTasks, after_network
from shared.schema import Floats, Ints

BUCKET_ROWS = 16_384
"""Events, padding included, that go through the network at once: the memory of a step."""
BUCKET_SLACK = 1.15
"""Longest against shortest user of a bucket: padding costs at most this factor."""


@dataclass(frozen=True)
class NetworkTrunk:
    """The network block of the trunk; public."""

    shape: NetworkShape
    parameters: Floats
    """Flat, (d,)."""

    @property
    def dimension(self) -> int:
        """Length d of a user's gradient."""
        return self.shape.size


@dataclass(frozen=True)
class ItemTrunk:
    """The item block: M rows (o_j, Δ_j1 … Δ_jk), flat row by row; public.

    The gradient is taken at the trunk that the residuals in `UserTasks` were computed with, so
    the rows' present values are not needed here.
    """

    rows: int
    """M, items that have a row."""
    factors: int
    """k."""
    network: NetworkTrunk | None = None
    """Explains a part of the residuals first, where it runs."""

    @property
    def dimension(self) -> int:
        """Length d = M(k + 1) of a user's gradient."""
        return self.rows * (self.factors + 1)


@dataclass(frozen=True)
class StackedUsers:
    """A cohort laid out for the network once, for all rounds of one block; private."""

    users: int
    buckets: tuple[tuple[Ints, Tensor, Tensor, Tensor], ...]
    """Rows of the users of a bucket, their inputs (B, n, in), residuals and weights (B, n, 2)."""


def stack_users(users: Sequence[UserTasks]) -> StackedUsers:
    """Lay users of similar length side by side, padded: half of what a round costs.

    Args:
        users: Their tasks, with network inputs. Private.
    """
    buckets = []
    for rows in bucket_by_length(np.array([len(user) for user in users])):
        parts = ([getattr(users[row], name) for row in rows] for name in _STACKED)
        inputs, residual, weight = (_padded(part, torch.float32) for part in parts)
        buckets.append((rows, inputs, residual, weight))
    return StackedUsers(len(users), tuple(buckets))


_STACKED = ("inputs", "residual", "weight")


def user_gradients(
    trunk: NetworkTrunk | ItemTrunk,
    users: Sequence[UserTasks] | StackedUsers,
    *,
    local_steps: int = 1,
    local_rate: float = 0.0,
) -> Floats:
    """Compute the trunk gradient of every user of a cohort.

    Args:
        trunk: The block to differentiate.
        users: Their events; a device passes its owner alone. The network also takes them stacked.
        local_steps: E; above 1 the gradients of E steps of local descent are summed.
        local_rate: Step size of that descent.

    Returns:
        Gradients, shape (U, d), float64, in the order of `users`. Unclipped and private: they go
        to the door and nowhere else. A user with a NaN gets NaN, which the door turns into zero.
    """
    if isinstance(trunk, NetworkTrunk):
        stacked = users if isinstance(users, StackedUsers) else stack_users(users)
        return _network_gradients(trunk, stacked, local_steps, local_rate)
    if isinstance(users, StackedUsers):
        raise TypeError("only the network takes stacked users")
    gradients = np.zeros((len(users), trunk.dimension))
    longest = BUCKET_ROWS if local_steps == 1 else 1
    for bucket in bucket_by_length(np.array([len(user) for user in users]), longest):
        members = [users[row] for row in bucket]
        gradients[bucket] = _item_gradients(trunk, members, local_steps, local_rate)
    return gradients


def bucket_by_length(lengths: Ints, most_rows: int = BUCKET_ROWS) -> list[Ints]:
    """Group users of similar length, so that little is padded and a step fits in memory.

    Args:
        lengths: Events of each user, shape (U,).
        most_rows: Padded events of a bucket, but a bucket holds at least one user.

    Returns:
        Rows of the users of each bucket; together every user with an event, once.
    """
    order = np.argsort(lengths, kind="stable")
    order = order[lengths[order] > 0]
    buckets, start = [], 0
    for stop in range(1, len(order) + 1):
        if stop < len(order):
            length = lengths[order[stop]]
            fits = (stop - start + 1) * length <= most_rows
            if fits and length <= BUCKET_SLACK * lengths[order[start]] + 4:
                continue
        buckets.append(order[start:stop])
        start = stop
    return buckets


class _Heads(torch.autograd.Function):
    """The network's output, whose gradient ends in Opacus: no summed gradient is computed."""

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, heads: Tensor) -> Tensor:
        return torch.matmul(hidden, heads.transpose(-1, -2))

    @staticmethod
    def backward(ctx: Any, *backprops: Tensor) -> tuple[None, None]:
        return None, None


class _NetworkLayer(nn.Module):
    """MLP and heads as one layer; `moved` (B, d) displaces the weights of each user."""

    def __init__(self, shape: NetworkShape, parameters: Floats) -> None:
        super().__init__()
        weights = shape.split(parameters)
        self.shape = shape
        self.hidden = nn.Parameter(torch.tensor(weights.hidden, dtype=torch.float32))
        self.bias = nn.Parameter(torch.tensor(weights.bias, dtype=torch.float32))
        self.heads = nn.Parameter(torch.tensor(weights.heads, dtype=torch.float32))
        self.units: Tensor
        self.user_heads: Tensor

    def forward(self, inputs: Tensor, moved: Tensor | None = None) -> Tensor:
        """Map inputs (B, n, in) to heads (B, n, Q)."""
        heads: Tensor = self.heads
        with torch.no_grad():
            if moved is None:
                before = nn.functional.linear(inputs, self.hidden, self.bias)
            else:
                cuts = [self.hidden.numel(), self.bias.numel(), heads.numel()]
                by_name = torch.split(moved, cuts, dim=1)
                hidden = self.hidden + by_name[0].view(-1, *self.hidden.shape)
                bias = self.bias + by_name[1]
                before = torch.baddbmm(bias[:, None], inputs, hidden.transpose(1, 2))
            self.units = before.tanh_()
        if moved is not None:
            heads = heads + by_name[2].view(-1, *heads.shape)
        self.user_heads = heads.detach()
        return _Heads.apply(self.units, heads)  # type: ignore[no-any-return, no-untyped-call]


@register_grad_sampler(_NetworkLayer)  # type: ignore[untyped-decorator]
def _network_grad_sample(
    layer: _NetworkLayer, activations: list[Tensor], backprops: Tensor
) -> dict[nn.Parameter, Tensor]:
    """Backpropagate by hand, keeping users apart: one batched product a weight matrix."""
    inputs, units = activations[0], layer.units
    by_unit = torch.ops.aten.tanh_backward(torch.matmul(backprops, layer.user_heads), units)
    return {
        layer.hidden: torch.bmm(by_unit.transpose(1, 2), inputs),
        layer.bias: by_unit.sum(dim=1),
        layer.heads: torch.bmm(backprops.transpose(1, 2), units),
    }


class _ItemLayer(nn.Module):
    """What a move of the rows (o, Δ) adds to rating and comment predictions of each user."""

    def __init__(self, rows: int, factors: int) -> None:
        super().__init__()
        self.rows = nn.Embedding(rows, factors + 1, dtype=torch.float64)  # Opacus knows this layer
        nn.init.zeros_(self.rows.weight)

    def forward(self, rows: Tensor, factors: Tensor) -> Tensor:
        """Map rows (B, n) and user factors (B, n, 2, k) to added predictions (B, n, 2)."""
        row = self.rows(rows)  # (B, n, 1 + k)
        added = torch.einsum("bnqk,bnk->bnq", factors, row[..., 1:])
        return torch.cat([added[..., :1] + row[..., :1], added[..., 1:]], dim=-1)


def _network_gradients(
    trunk: NetworkTrunk, stacked: StackedUsers, steps: int, rate: float
) -> Floats:
    """Give (U, d), bucket by bucket through one wrapped layer: wrapping costs a fifth of a step."""
    gradients = np.zeros((stacked.users, trunk.dimension))
    model = _private(_NetworkLayer(trunk.shape, trunk.parameters))
    for rows, inputs, residual, weight in stacked.buckets:
        gradient = total = _per_user(model, (inputs,), residual, weight)
        moved = torch.zeros_like(total)
        for _ in range(steps - 1):
            moved = moved - rate * gradient
            gradient = _per_user(model, (inputs, moved), residual, weight)
            total = total + gradient
        gradients[rows] = total.numpy()
    return gradients


def _item_gradients(trunk: ItemTrunk, users: list[UserTasks], steps: int, rate: float) -> Floats:
    """Give (B, d) for one bucket, through the rows that the bucket touches and no others."""
    if trunk.network is not None:
        weights = trunk.network.shape.split(trunk.network.parameters)
        users = [after_network(user, weights) for user in users]
    touched = np.unique(np.concatenate([user.items for user in users]))
    touched = touched[touched >= 0]
    gradient = np.zeros((len(users), trunk.rows, trunk.factors + 1))
    if len(touched) == 0:
        return gradient.reshape(len(users), -1)
    layer = _ItemLayer(len(touched), trunk.factors)
    model = _private(layer)
    # An item without a row reads row 0 with weight 0.
    rows = _padded([np.searchsorted(touched, user.items) for user in users], torch.int64)
    rows = rows.clamp(max=len(touched) - 1)
    factors, residual = (
        _padded([getattr(user, name) for user in users], torch.float64)
        for name in ("factors", "residual")
    )
    weight = _padded([u.weight * (u.items >= 0)[:, None] for u in users], torch.float64)
    total = torch.zeros(())
    for _ in range(steps):
        step = _per_user(model, (rows, factors), residual, weight)
        total = total + step
        if steps > 1:  # then the bucket is one user, and the layer's weights are that user's
            with torch.no_grad():
                layer.rows.weight -= rate * step.view_as(layer.rows.weight)
    gradient[:, touched] = total.view(len(users), len(touched), -1).numpy()
    return gradient.reshape(len(users), -1)


def _private(layer: nn.Module) -> GradSampleModule:
    """Wrap a layer so that a backward pass leaves one gradient a user."""
    return GradSampleModule(layer, batch_first=True, loss_reduction="sum")


def _per_user(
    model: GradSampleModule, inputs: tuple[Tensor, ...], residual: Tensor, weight: Tensor
) -> Tensor:
    """Differentiate Σ_u loss_u and return Opacus's gradient of each loss_u, flat, (B, d)."""
    model.zero_grad(set_to_none=True)
    # Where a task is not observed its residual may be NaN; weight 0 alone would not mute it.
    left = torch.where(weight > 0, residual - model(*inputs), 0.0)
    losses = 0.5 * (weight * left.square()).sum(dim=(1, 2))  # one scalar a user
    with warnings.catch_warnings():
        # No input needs a gradient, and torch says so each time: it is meant.
        warnings.filterwarnings("ignore", message="Full backward hook is firing")
        losses.sum().backward()  # type: ignore[no-untyped-call]
    parts: list[Tensor] = [p.grad_sample.flatten(1) for p in model.parameters()]
    return torch.cat(parts, dim=1)


def _padded(arrays: Sequence[Floats | Ints], dtype: torch.dtype) -> Tensor:
    """Stack arrays (n_u, ...) to (B, n, ...), zeros after each user's end."""
    longest = max(len(array) for array in arrays)
    stacked = torch.zeros((len(arrays), longest, *arrays[0].shape[1:]), dtype=dtype)
    for row, array in enumerate(arrays):
        stacked[row, : len(array)] = torch.from_numpy(np.ascontiguousarray(array))
    return stacked

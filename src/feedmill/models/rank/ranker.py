"""Scores of pairs: a linear first layer that user and item share, a body, and a tower per head."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, cast

import torch
from torch import Tensor, nn

from feedmill.core.config import Config
from feedmill.models.rank.body import Body, BodyClass
from feedmill.models.rank.entire_space import Given, joint
from feedmill.models.rank.nets import uniform
from feedmill.models.rank.towers import Towers, side_by_side


class Ranker(nn.Module):
    """Logits of H heads, from embedded fields and numbers of users and items.

    The first layer reads the user's fields and numbers, the item's fields, the inner product of every user field with
    every item field (Naumov et al. 2019: layers learn products badly), and the item's numbers. Being linear, it is a
    sum of three shares: ``user_first`` is made once per request, ``item_first`` once per publish (it depends on the
    item alone), and ``scores`` adds the rest. What follows is the kind's ``Body``, a tower per head, and a linear term
    in the products and the item's numbers (Cheng et al. 2016: the wide part).

    Args:
        config: of the kind.
        n_fields: (Fu, Fi) embedded fields of user and item; a table of one side has Fu = 0.
        n_numeric: (Nu, Ni) numbers.
        n_logits: of each head.

    Attributes:
        body: what the kind has of its own.
        gated: widths of the hidden layers that personal gates may scale.
        personal: the gates, or None.
        given: columns of logits that presuppose others.
        width: W of the first layer, the gates' share last.
    """

    Config: ClassVar[type[Config]]
    Body: ClassVar[BodyClass]

    def __init__(
        self, config: Any, n_fields: tuple[int, int], n_numeric: tuple[int, int], n_logits: Sequence[int]
    ) -> None:
        super().__init__()
        fu, fi = n_fields
        self.n_dots = fu * fi if config.dots else 0
        self.user_dim = fu * config.embedding_dim + n_numeric[0]
        self.item_dim = fi * config.embedding_dim
        self.pair_dim = self.n_dots + n_numeric[1]
        self.n_logits = tuple(n_logits)
        self.body: Body = self.Body(config, self.n_logits)
        self.gated = self.body.gated
        self.from_user = _weight(self.user_dim, self.body.width)
        self.from_item = _weight(self.item_dim + self.pair_dim + 1, self.body.width)  # its last row is the bias
        self.towers = None if self.body.is_linear else Towers(self.body.output_dim, config.tower_dim, self.n_logits)
        self.wide = None if self.body.is_linear or not self.pair_dim else nn.Linear(self.pair_dim, sum(self.n_logits))
        self.personal: Any = None
        self.given: Given = ()

    @property
    def width(self) -> int:
        return self.body.width + (self.personal.width if self.personal is not None else 0)

    def personalise(self, gates: nn.Module) -> Ranker:
        """Let ``gates`` (``models.PERSONAL``) scale the hidden layers; returns the ranker."""
        self.personal = gates
        return self

    def presuppose(self, given: Given) -> Ranker:
        """Let heads be products with those they presuppose (``entire_space.joint``); returns the ranker."""
        self.given = tuple(given)
        return self

    def user_first(self, user: Tensor, user_numeric: Tensor) -> Tensor:
        """float32[R, Fu, D], float32[R, Nu] -> float32[R, W], the user's share of the first layer."""
        own = torch.cat([user.flatten(1), user_numeric], dim=1) @ self.from_user
        return own if self.personal is None else torch.cat([own, self.personal.user_first(user, user_numeric)], dim=1)

    def item_first(self, item: Tensor) -> Tensor:
        """float32[C, Fi, D] -> float32[C, W], the item's share, with the bias."""
        own = torch.addmm(self.from_item[-1], item.flatten(1), self.from_item[: self.item_dim])
        return own if self.personal is None else torch.cat([own, self.personal.item_first(item)], dim=1)

    def scores(
        self,
        user_first: Tensor,
        item_first: Tensor,
        user: Tensor,
        item: Tensor,
        item_numeric: Tensor,
        request_of: Tensor | None,
    ) -> Tensor:
        """What ``forward`` gives, from shares of the first layer that were made beforehand.

        Args:
            user_first: float32[R, W].
            item_first: float32[C, W], gathered from what was made of each item.
            user, item, item_numeric, request_of: as for ``forward``; None: all candidates are of one request (R = 1),
                which needs no gather.

        Returns:
            float32[C, L] logits.
        """
        pair = self._pair(user, item, item_numeric, request_of)
        first = (user_first if request_of is None else user_first[request_of]) + item_first
        own = first[:, : self.body.width] + pair @ self.from_item[self.item_dim : -1]
        gates = () if self.personal is None else self.personal.gates(first[:, self.body.width :])
        return self._above(own, pair, gates)

    def forward(
        self, user: Tensor, user_numeric: Tensor, item: Tensor, item_numeric: Tensor, request_of: Tensor
    ) -> Tensor:
        """Embedded fields and numbers -> logits.

        Args:
            user: float32[R, Fu, D].
            user_numeric: float32[R, Nu].
            item: float32[C, Fi, D].
            item_numeric: float32[C, Ni].
            request_of: int64[C], the request of each candidate.

        Returns:
            float32[C, L] logits.
        """
        pair = self._pair(user, item, item_numeric, request_of)
        x = torch.cat([item.flatten(1), pair, item.new_ones(item.shape[0], 1)], dim=1)
        own = x @ self.from_item  # a bias added by itself would be one more pass over the widest layer, and one back
        if self.user_dim:
            own = own + (torch.cat([user.flatten(1), user_numeric], dim=1) @ self.from_user)[request_of]
        gates = ()
        if self.personal is not None:
            gates = self.personal.gates(
                self.personal.user_first(user, user_numeric)[request_of] + self.personal.item_first(item)
            )
        return self._above(own, pair, gates)

    def of_table(self, first: Tensor, numbers: Tensor) -> Tensor:
        """What ``forward`` gives for rows of one side (Fu = 0, no gates), from sums of the first layer made elsewhere.

        Args:
            first: float32[C, W], the fields, numbers and a last column of ones times ``from_item``.
            numbers: float32[C, Ni].
        """
        return self._above(first, numbers, ())

    def _pair(self, user: Tensor, item: Tensor, item_numeric: Tensor, request_of: Tensor | None) -> Tensor:
        """float32[C, P], what neither side knows alone, or changes by the minute: products, and the item's numbers."""
        if not self.n_dots:
            return item_numeric
        if request_of is None:
            dots = (item.flatten(0, 1) @ user[0].t()).view(-1, self.n_dots)
        else:
            dots = torch.bmm(item, user[request_of].transpose(1, 2)).flatten(1)
        return torch.cat([dots, item_numeric], dim=1)

    def _above(self, first: Tensor, pair: Tensor, gates: Sequence[Tensor]) -> Tensor:
        logits = self._logits(first, pair, gates)
        return joint(logits, self.given) if self.given else logits

    def _logits(self, first: Tensor, pair: Tensor, gates: Sequence[Tensor]) -> Tensor:
        hidden = self.body(first, gates)
        if self.towers is None:
            return side_by_side(hidden, self.n_logits)
        logits = cast(Tensor, self.towers(hidden))
        return logits if self.wide is None else logits + self.wide(pair)


def _weight(n_in: int, n_out: int) -> nn.Parameter:
    return nn.Parameter(uniform(1, n_in, n_out)[0].detach())

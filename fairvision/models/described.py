"""A model that says what it predicts by its heads, before any dataset is known."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TypeVar

from fairvision.models.heads import Heads, schema_of
from fairvision.schema import Schema

_Model = TypeVar("_Model", bound="Described")


@dataclass(frozen=True, kw_only=True)
class Described:
    """What models from elsewhere share.

    Attributes
    ----------
    name : what tables and reports call it
    heads : what it predicts
    like : the schema of a dataset, which says which heads are attributes
    """

    name: str
    heads: Heads
    like: Schema = field(default_factory=Schema)

    def __str__(self) -> str:
        return f"model {self.name}"

    @property
    def schema(self) -> Schema:
        """The attributes and tasks that it predicts."""
        return schema_of(self.heads, self.like)

    def named(self: _Model, name: str) -> _Model:
        """Return the same model with another name."""
        return replace(self, name=name)

    def in_terms_of(self: _Model, schema: Schema, size: int | None = None) -> _Model:
        """Return the same model, with heads that are attributes where they are in a dataset.

        Parameters
        ----------
        schema : of the dataset
        size : of all its images, where they are squares of one size
        """
        return replace(self, like=schema)

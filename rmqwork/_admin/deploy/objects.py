"""`Object`: a Kubernetes object as plain values."""

from collections.abc import Mapping

Object = Mapping[str, object]
"""A Kubernetes object, or a part of one, of JSON's types only."""

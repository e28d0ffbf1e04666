"""One function for each ONNX operator; its keyword-only parameters are its attributes."""

from . import elements, images, moving, reductions, resizing

__all__ = ["elements", "images", "moving", "reductions", "resizing"]

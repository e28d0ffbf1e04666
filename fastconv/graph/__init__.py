"""Networks: from a graph of operators to one program.

::

    ir         nodes between named values
    passes     rewrite a graph: fold, fuse, remove
    check      what can be known before shapes are; refusals
    evaluate   operators on known arrays, in NumPy
    lower      one function for each operator: appends steps to a plan
    builder    a plan in the making; memory, constants
    model      plans for the shapes that come, and runs them
"""

from .ir import Graph, Node, Port
from .model import Model

__all__ = ["Graph", "Model", "Node", "Port"]

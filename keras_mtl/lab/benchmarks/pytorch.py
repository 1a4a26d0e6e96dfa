# pyright: reportMissingImports=false
"""PyTorch, imported so that it lives in one process with TensorFlow."""

import sys

# It brings an LLVM of its own, which ends a process that has TensorFlow's;
# without it PyTorch does on processors what it did before.
sys.modules.setdefault("triton", None)  # type: ignore

import torch

__all__ = ["torch"]

"""Regularised logistic regression, of any loss, by L-BFGS: what a head is solved by.

SciPy's method and torch's gradient, so that class weights, smoothed labels and other losses of
outputs and labels are lowered as they are, which scikit-learn's own cannot.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable

import numpy as np
import torch
from scipy.optimize import minimize
from torch import nn

Head = tuple[torch.Tensor, torch.Tensor]  # weights [classes, r] and bias [classes]
Space = tuple[torch.Tensor, torch.Tensor, torch.Tensor]  # what `turn` returns
Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def turn(x: torch.Tensor) -> Space:
    """Turn features, so that as few numbers as there are pictures say all of them.

    Args:
        x: float32 [n, f].

    Returns:
        Their mean, float64 [f]; the axes, float64 [f, r]; and the features along these, [n, r].
    """
    mean = x.double().mean(0)
    x = x.double() - mean
    wide = len(x) <= x.shape[1]
    sizes, axes = torch.linalg.eigh(x @ x.T if wide else x.T @ x)
    kept = sizes > 1e-9 * sizes[-1].clamp(min=1e-12)
    axes = axes[:, kept]
    if wide:
        axes = x.T @ axes / sizes[kept].sqrt()
    return mean, axes, (x @ axes).float()


def lowest(
    z: torch.Tensor,
    y: torch.Tensor,
    classes: int,
    loss_func: Loss,
    penalty: float,
    start: Head | None = None,
    steps: int = 200,
    close: float = 1e-5,
) -> Head:
    """Find the head of the lowest loss plus half the penalty times its squared weights.

    Args:
        z: Features along their axes, float32 [n, r].
        y: Labels, int64 [n].
        classes: How many.
        loss_func: Mean loss of outputs [n, classes] and labels.
        penalty: Above 0.
        start: Where to begin.
        steps: At most.
        close: How small the slope is to be.

    Returns:
        Weights, float32 [classes, r], and bias, [classes].
    """
    r = z.shape[1]
    # Divided by about the curvature along each axis, so that all are alike to the method.
    scale = (z.square().mean(0) / 4 + penalty).sqrt()
    z, held = z / scale, penalty / scale.square()

    def loss_and_slope(flat: np.ndarray) -> tuple[float, np.ndarray]:
        point = torch.from_numpy(flat).float()
        weight, bias = point[: classes * r].view(classes, r), point[classes * r :]
        out = torch.addmm(bias, z, weight.T).detach().requires_grad_()
        with torch.enable_grad():
            loss = loss_func(out, y)
        (slope,) = torch.autograd.grad(loss, out)
        slopes = torch.cat([(slope.T @ z + held * weight).flatten(), slope.sum(0)])
        value = loss.detach() + (held * weight.square()).sum() / 2
        return float(value), slopes.double().numpy()

    at = np.zeros(classes * (r + 1))
    if start is not None:
        at = torch.cat([(start[0] * scale).flatten(), start[1]]).double().numpy()
    how = {"maxiter": steps, "gtol": close, "ftol": 1e-10, "maxcor": 20}
    end = torch.from_numpy(minimize(loss_and_slope, at, jac=True, method="L-BFGS-B", options=how).x)
    return end[: classes * r].view(classes, r).float() / scale, end[classes * r :].float()


@torch.no_grad()
def put(layer: nn.Linear, head: Head, mean: torch.Tensor, axes: torch.Tensor) -> None:
    """Turn a head back to features as they are, and put it into a layer."""
    weight = head[0].double() @ axes.T
    layer.weight.copy_(weight)
    layer.bias.copy_(head[1].double() - weight @ mean)


def solve_code() -> str:
    """Write the functions that a script solves a head with: these."""
    return "\n\n".join(map(inspect.getsource, (turn, lowest, put)))

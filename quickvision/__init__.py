"""quickvision: give it a folder of pictures, get back a trained classifier and an honest report.

The public names below load on first use, so that `import quickvision` and `quickvision --help`
do not pay for torch and fastai (nine seconds).
"""

from __future__ import annotations

import importlib
import random
import warnings
from typing import Any

__version__ = "0.1.0"

_ROOMS = {
    "quickvision.base.errors": (
        "Advice",
        "BundleError",
        "DataError",
        "DataWarning",
        "ModelError",
        "QuickvisionError",
        "RunError",
    ),
    "quickvision.base.figures": ("Accuracy",),
    "quickvision.data.check": ("DataCheck", "check"),
    "quickvision.data.doors": ("from_csv", "from_df", "from_folder", "from_name_re", "load_data"),
    "quickvision.training.features": ("feature_learner",),
    "quickvision.data.holdout": ("save_split",),
    "quickvision.models.learner": ("cnn_learner",),
    "quickvision.models.zoo": ("ModelSettings", "list_models", "model_settings"),
    "quickvision.training.solve": ("Solved", "solve_head"),
    "quickvision.training.lr_find": ("LRFind", "find_lr"),
    "quickvision.training.fit": ("fit_frozen", "fit_unfrozen"),
    "quickvision.results.predictions": (
        "Predictions",
        "class_report",
        "confusion_matrix",
        "get_preds",
        "macro_f1",
        "most_confused",
        "top_losses",
        "wrong",
    ),
    "quickvision.runs.compare": ("compare",),
    "quickvision.results.comparison": ("Comparison", "mcnemar"),
    "quickvision.results.plots": (
        "plot_calibration",
        "plot_comparison",
        "plot_confusion",
        "plot_history",
        "plot_lr_find",
        "plot_top_losses",
    ),
    "quickvision.results.calibration": ("Calibration", "calibration", "reliability"),
    "quickvision.results.before_after": ("BeforeAfter", "before_after"),
    "quickvision.results.heatmap": ("heatmap",),
    "quickvision.results.nearest": ("nearest",),
    "quickvision.results.suspects": ("suspects",),
    "quickvision.ship.predictor": ("Prediction", "Predictor"),
    "quickvision.ship.load": ("load_model",),
    "quickvision.ship.export": ("export",),
    "quickvision.ship.evaluate": ("evaluate",),
    "quickvision.ship.submit": ("submit",),
    "quickvision.web.serve": ("serve",),
    "quickvision.runs.run": ("Run",),
    "quickvision.runs.train": ("resume", "train"),
    "quickvision.runs.reopen": ("load_run",),
    "quickvision.recipes.digits": ("digit_weights", "train_digits"),
    "quickvision.recipes.pets": ("train_pets",),
    "quickvision.recipes.ants_bees": ("train_ants_bees",),
    "quickvision.recipes.cars": ("train_cars",),
    "quickvision.recipes.cifar10": ("train_cifar10",),
    "quickvision.recipes.datasets": ("fetch_data",),
    "fastai.interpret": ("ClassificationInterpretation",),
}
_HOME = {name: room for room, names in _ROOMS.items() for name in names}

__all__ = ["__version__", *sorted(_HOME)]

# What upstream says of its own insides at import, to users who can do nothing about it.
_NOISE = (
    "`torch.jit.script",  # fastai
    "The 'mode.chained_assignment' option",  # fastai
    "IProgress not found",  # Hugging Face, in notebooks
)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        from quickvision.base.errors import did_you_mean

        raise AttributeError(f"quickvision has no {name!r}{did_you_mean(name, _HOME)}")
    state = random.getstate()
    try:
        with warnings.catch_warnings():
            for message in _NOISE:
                warnings.filterwarnings("ignore", message)
            value = getattr(importlib.import_module(_HOME[name]), name)
    finally:
        random.setstate(state)  # rich, which fastai imports, draws from it
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)

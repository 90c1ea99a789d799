"""The main job, from data to report: begun by `train`, gone on with by `resume`, one end."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from fastai.data.core import DataLoaders
from fastai.learner import Learner
from fastai.torch_core import no_random
from fastcore.meta import delegates
from torch import nn

from quickvision.base.choices import whole
from quickvision.base.errors import RunError, as_path, some
from quickvision.base.figures import to_seconds
from quickvision.base.processes import by_first, first_then_others, join, share
from quickvision.base.progress import line, say
from quickvision.runs.again import at_hand, given_again, rebuild
from quickvision.runs.build import asked_for, build, check_loss, with_batch_size
from quickvision.runs.checkpoints import FOLDER, Checkpoint, load_checkpoint
from quickvision.runs.config import Sides, Spec, read_config
from quickvision.runs.folder import locked, start_folder, tidy
from quickvision.runs.job import Job
from quickvision.runs.launch import check_gpus, launch
from quickvision.runs.more import check_finished, how_to_go_further
from quickvision.runs.options import RunConfig
from quickvision.runs.plan import check_gradual
from quickvision.runs.progress import Progress
from quickvision.runs.run import Run
from quickvision.training.fit import check_callbacks


@delegates(RunConfig, keep=True)
def train(
    data: str | Path | DataLoaders | Learner,
    arch: str | Callable[..., nn.Module] = "resnet34",
    *,
    weights: str | Path | None = "default",
    gpus: int | None = None,
    out: str | Path = "runs",
    name: str | None = None,
    cbs: Any = None,
    verbose: bool = True,
    **options: Any,
) -> Run:
    """Do the whole main job: find a rate, train the head frozen, then all layers, look.

    On cached features a single-layer head is solved at the end of the frozen stage (`solve_head`);
    how much the features leave open then, as training pictures say that were left out in turn,
    gives the rates of the unfrozen stage, at whose end body and head are brought together
    (`fit_unfrozen`). `Run.stages` says what each stage brought.

    `unfrozen_epochs=0` uses the body as a fixed feature extractor; `frozen_epochs=0` fine-tunes all
    layers at once. Without weights there is nothing to freeze, and no layer knows more than
    another: all train from the start, for all epochs, at one rate (`lr_unfrozen` where it is given,
    else `lr`).

    Args:
        data: A folder of pictures or a CSV file, in any layout that `load_data` knows; or
            `DataLoaders`; or a `Learner`, which is trained on (and then saves in the run's folder).
        arch: As in `cnn_learner`; not with a `Learner`, which has its model. With a folder or a CSV
            file the pictures get the size, interpolation and crop that it was made with, unless
            `size`, `interpolation` and `crop_pct` say otherwise.
        weights: As in `cnn_learner`; not with a `Learner`.
        frozen_epochs: Epochs of the head alone; 0 leaves the stage out.
        unfrozen_epochs: Epochs of all layers; 0 leaves the stage out.
        lr: Rate of the frozen stage: "find", or a number.
        lr_unfrozen: Rates of the unfrozen stage: "find", which is by what the solved head leaves
            open, or by a second rate finder where the head was not solved; a number for the head,
            of which the first layers get a hundredth; a slice; or None, "find" where `lr` is, and
            else half of `lr`. With rates that are given the stage is fastai's, to its end.
        schedule: How rates move: "one_cycle", "flat_cos", "cosine", "step", "plateau" or
            "constant", as `fit_frozen` explains.
        gradual: In the unfrozen stage, unfreeze group by group (`fit_unfrozen`).
        patience: Stop a stage after so many epochs without a lower validation loss. Off, because it
            fights one-cycle, whose last epochs do most of the work.
        mixup: Strength of MixUp, such as 0.4: batches are blends of two pictures. 0 is off.
        cutmix: Strength of CutMix, such as 1.0: pieces of one picture in another. 0 is off. Neither
            is seen by validation and reports, and with either the frozen stage sees the pictures in
            each epoch.
        tta: Augmented looks at each validation picture beside the plain one in the final report
            (test-time augmentation).
        budget: Time for all of it, such as "10min": unfrozen epochs, ten at most (none
            where `unfrozen_epochs` is 0), are picked to fit, and fewer frozen ones where even these
            are too many. It is aimed at, not enforced.
        gpus: Train on so many GPUs of this machine, in a process each, which are started anew and
            read everything from files: `data` is a folder or a CSV file then, and no option is a
            function or an object. The effective batch is `bs` times `gpus`. Needs
            `pip install accelerate`; for several machines, and for scripts, see "Several GPUs" in
            the handbook.
        cache_features: Run the frozen body over all pictures once and train the head on what it
            says of them, which makes the frozen stage many times faster; its crops are those of
            validation then, and its batch-norm statistics stay. False is fastai's ordinary frozen
            stage, which is also taken, with a sentence, where the features cannot be kept.
        views: With cached features: augmented passes over the training pictures beside the plain
            one, each as long as that one.
        log: "tensorboard" or "wandb" (Weights & Biases): hand losses, metrics and rates over to it,
            through fastai's own callbacks, beside `log.csv`, which is always written. Others of
            fastai's go into `cbs`.
        plots: Draw plots into the run's folder; without them `run.plot_confusion()` and the others
            draw as ever.
        report: Write `report.html`, the page that people read (`Run.report`), and keep what it
            needs later: features of the frozen stage, for labels that look wrong and pictures that
            look alike, and heat maps.
        deterministic: On a GPU the same seed gives the same bits only with this, and only on the
            same kind of GPU with the same versions: slower algorithms are taken where the fast ones
            add up in any order, and a layer that has no other is an error. On a CPU two runs are
            the same to the bit anyway, and it changes nothing.
        seed: Seed of head, split and augmentation. The global random state stays as it was.
        out: Folder in which the run's own folder, `NAME-001` and so on, is made.
        name: Name of the run; by default that of the folder of pictures.
        cbs: fastai callbacks, used in both stages.
        verbose: Say what happens, a line an epoch.
        **options: Go to `cnn_learner` (`head`, `hidden`, `dropout`, `opt`, `momentum`, `wd`,
            `loss`, `label_smoothing`, `class_weights`, `layer_groups`, `metrics`, `precision`,
            `compile`, ...; not with a `Learner`), and with a folder or a CSV file to `load_data`
            (`size`, `bs`, `valid`, `pat`, ...). `bs="auto"` is the largest batch that fits into the
            GPU's memory and leaves 20 steps an epoch (64 on a CPU, whose memory is not tried).

    Returns:
        The finished run. Its folder has `config.json`, what the run was asked for, with versions
        and a hash of the split; `log.csv`, a row an epoch, written as they end; `checkpoints`,
        with `last.pt` for `resume`, and for `learn.load` `stage-1.pth` (after the frozen stage),
        `stage-2.pth` (after the unfrozen one) and `best.pth` (the best epoch of both); the tables
        `predictions.csv` (and `predictions.npz`, all probabilities), `confused.csv`, `split.csv`
        (see `save_split`), where rates were searched `lr_find-STAGE.csv`, where pictures were
        left out `skipped.csv`, where labels look wrong `suspects.csv`; the plots; `report.html`
        and `report.md`; and `run.json`, with which `load_run` opens it again.

    Raises:
        DataError: The data cannot be trained on.
        ModelError: The model or its weights cannot be had; there are fewer GPUs.
        RunError: `out` cannot be written, or the loss is no number any more.
        TypeError: `data` is none of these, or options do not go together: a loss of your own with
            `mixup` or `cutmix`, for example, unless it can be blended as fastai's can.
        ValueError: An option is out of range: no epochs at all, a rate that makes no sense, ...
    """
    run, model, pictures = asked_for(options, inspect.signature(train).parameters)
    spec = Spec(data, arch, weights, model, pictures, RunConfig(**run), has_cbs=cbs is not None)
    join()
    start, checkpoint = time.perf_counter(), None
    if gpus is not None:
        check_gpus(gpus)
    timing: dict[str, float] = {}
    with no_random(spec.train.seed, reproducible=False):
        spec, learn = first_then_others(partial(build, spec, timing=timing, verbose=verbose))
        spec = with_batch_size(spec, learn, verbose=verbose)
        check_gradual(learn, spec.train)
        check_callbacks(learn, cbs)
        check_loss(learn, spec.train, cbs)
        sides = Sides.of(learn.dls)
        if share(sides) != sides:
            raise RunError(f"expected the first process's pictures, got others in {learn.dls.path}")
        if gpus is not None and (lost := spec.plain(learn.dls)[1]):
            raise TypeError(f"gpus: {some(lost)}: cannot be given to other processes")
        called = learn.dls.path.resolve().name if name is None else name
        folder = by_first(partial(start_folder, out, called, spec, sides, learn.dls))
        if gpus is not None:
            launch(["resume", str(folder)], gpus, verbose=verbose)
            verbose, checkpoint = False, load_checkpoint(folder / FOLDER)
        with _alone(folder):
            return _go_on(
                folder, spec, learn, start, checkpoint, cbs=cbs, verbose=verbose, timing=timing
            )


def resume(
    path: str | Path | Run,
    *,
    more_epochs: int | None = None,
    data: str | Path | DataLoaders | Learner | None = None,
    before: bool = False,
    gpus: int | None = None,
    cbs: Any = None,
    verbose: bool = True,
    **options: Any,
) -> Run:
    """Go on with a run that was stopped, or train a finished one further.

    It may have been stopped in whatever way: killed, out of power, by Ctrl-C.

    Data and model are built as they were, and training goes on after the last epoch that was
    written down, at its place in the schedule. On the same CPU, with the same versions, it ends
    with the very weights that it would have had. On a GPU an epoch that is trained again may come
    out otherwise (`deterministic`), and where it was the best, `best.pth` may be of its first time.
    A run that is complete is looked at once more, or gets `more_epochs`.

    Args:
        path: The run's folder, which has its `config.json`; or a finished `Run`, which has at hand
            what no file can hold (callbacks aside).
        more_epochs: Train a finished run so many epochs further, in its folder, as often as you
            like. They are a stage of their own, "unfrozen-2" and so on (of a run without an
            unfrozen stage they are this), of all layers: a new cycle of the run's schedule, from
            the weights that it ended with, by the rates of the unfrozen stage (less, where stages
            were undone). Where the run goes by left-out training pictures, a stage that has harmed
            is undone here, too. They are not `gradual`, and no budget counts. `Run.stages` says
            what they have brought. When they are stopped, a `resume` without `more_epochs` goes
            on with them.
        data: The pictures, where they are elsewhere now, or where the run was given `DataLoaders`
            or a `Learner`: these, built anew in the same way.
        before: Go on from the checkpoint before the last one, where that is damaged.
        gpus: As in `train`.
        cbs: fastai callbacks, where the run had some. They begin anew: what a callback has counted
            is not in a checkpoint.
        verbose: Say what happens.
        **options: What no file can hold, as it was given to `train`: functions, transforms, losses;
            and where files are elsewhere now: `weights`, `valid`, `class_names`.

    Returns:
        The finished run, as `train` returns it.

    Raises:
        DataError: The pictures cannot be had.
        RunError: `path` is no run's folder, another process is at it, pictures have come or gone,
            something is to be given again, a checkpoint is damaged, or a run that was stopped is to
            have more epochs.
        TypeError: An option that the run was not given, or that is no option.
        ValueError: `more_epochs` is below 1.
    """
    join()
    if more_epochs is not None:
        whole("more_epochs", more_epochs, 1)
    run, path = (path, path.path) if isinstance(path, Run) else (None, as_path(path, "path"))
    written = by_first(partial(read_config, path))
    given = {
        **at_hand(run.spec if run else None, written),
        **options,
        **({} if data is None else {"data": data}),
    }
    spec = given_again(path, written, given if cbs is None else {**given, "cbs": cbs})
    if gpus is not None:
        check_gpus(gpus)
        if spec.has_cbs or not isinstance(spec.data, str | Path):
            raise TypeError("gpus: goes with a folder or a CSV file, and without callbacks")
        more = ["--data", str(spec.data), *(["--before"] if before else [])]
        more += [] if more_epochs is None else ["--more-epochs", str(more_epochs)]
        launch(["resume", str(path), *more], gpus, verbose=verbose)
        verbose, before, more_epochs = False, False, None
    timing: dict[str, float] = {}
    with _alone(path), no_random(spec.train.seed, reproducible=False):
        by_first(partial(tidy, path))
        checkpoint = by_first(partial(load_checkpoint, path / FOLDER, before=before))
        at = checkpoint.progress if checkpoint else Progress()
        if more_epochs is not None:
            by_first(partial(check_finished, path, at))
        spec, learn = rebuild(path, spec, written, given, timing=timing, verbose=verbose)
        check_callbacks(learn, cbs)
        check_loss(learn, spec.train, cbs)
        say(line("resumed", f"{path}, {at.where}"), verbose=verbose)
        if at.is_finished and more_epochs is None:
            say(line("complete", how_to_go_further(path)), verbose=verbose)
        now, how = time.perf_counter(), {"cbs": cbs, "verbose": verbose, "timing": timing}
        return _go_on(path, spec, learn, now, checkpoint, more=more_epochs, **how)


def _go_on(
    folder: Path,
    spec: Spec,
    learn: Learner,
    start: float,
    checkpoint: Checkpoint | None,
    *,
    cbs: Any,
    verbose: bool,
    timing: dict[str, float],
    more: int | None = None,
) -> Run:
    """Train to the end, from a checkpoint or from the start; a budget counts from `start`."""
    budget, deadline = spec.train.budget, None
    if budget is not None and checkpoint is None:
        deadline = start + to_seconds(budget)
    return Job(learn, folder, spec, cbs, verbose, deadline, timing, checkpoint, more).train()


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keep other trainings out of a run's folder; of several processes the first one does so."""
    with ExitStack() as held:
        by_first(lambda: held.enter_context(locked(folder)))
        yield

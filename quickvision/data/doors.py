"""The doors: folders, file names or tables in, plain fastai `DataLoaders` out, split, checked."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd
from fastai.data.core import DataLoaders
from fastcore.meta import delegates

from quickvision.base.errors import without_advice
from quickvision.base.progress import say
from quickvision.data.class_folders import list_folder
from quickvision.data.layouts import find_listing
from quickvision.data.listing import list_names, warn_of_unused
from quickvision.data.loaders import load
from quickvision.data.options import Options, ask
from quickvision.data.sides import sides_may_be_found, valid_folder
from quickvision.data.tables import list_csv, list_df
from quickvision.data.wording import Column


@delegates(Options)
def from_folder(path: str | Path, **kwargs: Any) -> DataLoaders:  # noqa: D417
    r"""Build `DataLoaders` from folders named after their classes.

    What lies in the folders says what they are. Folders that hold folders of the same names are
    sides (`train` beside `val`, `seg_train` beside `seg_test`), parts (`part_1`, put together) or
    copies (left alone); a folder that holds one folder, or `images` beside `annotations`, is
    entered; all else are class folders, and deeper folders belong to them. Where this can be read
    in several ways nothing is guessed: the error names a call for each. Hidden folders, those of
    tools and those of quickvision's own runs are no data. Nothing in `path` changes.

    Args:
        path: Folder that holds the class folders, or `train` and its validation folder.
        valid: What is held out. By default the validation folder, or `test` where that has labels
            and none else is there, or else 0.2. A fraction in (0, 1): stratified, at least one
            picture of each class on each side; a validation folder is left alone then. Or the name
            of the validation folder; a list of files; a function from path to True; or a
            `split.csv` that `save_split` wrote. A table's column, with `from_csv` and `from_df`.
        groups: Keep all pictures of one group (a patient, a car) on one side: a function from path
            to group, or a pattern with one group, as `r"^(patient\d+)_"`; a table's column.
        class_names: Names for labels that are numbers or codes: a CSV file with one name a row,
            from 0 or from 1, with or without header, or with two columns, label and name, or lines
            such as `n01440764 tench`; a JSON file; a list; a dict.
        fixes: What people have said of pictures after a look at them: the `fixes.csv` that a report
            saves, or a DataFrame, with the columns `path` (as in all tables), `action` (keep,
            relabel or drop) and `label` (of those to relabel, one of the classes); or a dict from
            path to class, None for one to drop. No file changes. Who is held out is decided by
            names and labels as they were, so that two runs can be compared picture by picture
            (`before_after`); dropped pictures leave their side, and relabelled ones stay there.
        size: Pixels of the training pictures, a side or (height, width).
        resize: How a picture comes to that shape: "crop" (the middle, in training a random part),
            "squish" or "pad" (with ImageNet's mean grey beside it). Validation looks through
            `View`, as timm and transformers do.
        interpolation: How pictures are resized: "bilinear", "bicubic", "lanczos" or "nearest".
        crop_pct: Share of a resized picture's sides that validation looks at, its middle: what
            `model_settings(arch)` says is what the weights are used to. 1 looks at all of it.
        bs: Pictures in a batch. By default so many that an epoch has some forty steps, but 8 at
            least and 64 at most (and four steps where there are fewer than 32 pictures); of fewer
            than 256 none is left out of an epoch then. A number is lowered, with a `DataWarning`,
            where there are fewer training pictures than it, because fastai would train on nothing;
            that it makes one step an epoch is said, too.
        seed: Seed of the split and of the shuffling. The global random state stays as it was. The
            split depends on it and on the pictures' names alone.
        item_tfms: fastai item transforms; by default `Resize`, an eighth larger than `size` where a
            batch transform brings pictures to their size, as `aug_transforms(size=size)` does.
        batch_tfms: fastai batch transforms; by default what `augment` and `flip` say.
        augment: How pictures are changed in training, anew each time: "default",
            `aug_transforms(size=size)`; "light", with half of its zoom and lighting, and not turned
            or warped; "none", only resized, the middle of each.
        flip: Mirror half of the training pictures. Where class names say that a mirrored picture is
            another thing (left and right, digits, letters), a `DataWarning` names `flip=False`.
        vocab: The classes in the order of the model's outputs; by default they are sorted, as
            numbers where they are numbered (`class_2` before `class_10`).
        levels: The two values that are black and white in pictures of more than 8 bits, as
            `(0, 4095)`. By default the same for the whole data set: black is 0 (or the least value,
            where some are below), white the most that 8, 10, 12, 14 or 16 bits can hold, the fewest
            that hold all values (of floats also 1). "file" decides for each file anew, and so does
            `check=False`, which looks at none before: 16 bits are 16 bits then.
        balance: For uneven classes: "weights" weighs the loss by one over a class's size (any
            fastai `Learner` on these loaders takes it over); "oversample" repeats pictures of the
            smaller classes until all are as large as the largest, so that an epoch grows.
        check: Read every file once first (what is known of files that have not changed is kept in
            our cache folder). Files that cannot be decoded, and a lone drawing among photos (a
            "not found" placeholder), are left out with a `DataWarning`. Pictures that are on both
            sides are said; without it the same files alone, of up to 20,000 pictures.
        max_bad: Stop where a larger fraction of the files cannot be read or is missing; a single
            one never stops. 0 allows none.
        cache: "auto" keeps up to a gigabyte of decoded pictures in memory, where there are up to
            4,000 and no other processes read them. True, or a folder outside the data's own, keeps
            copies on disk, resized to what the item transforms need (True: in our cache folder;
            about 35 kB a photo at 224 pixels). False reads each picture anew each time.
        num_workers: Loader processes. By default, where a CPU trains, 0 for under 1,000 pictures or
            up to two cores (where they cost more than they save), else the number of cores, at most
            8; for a GPU 0 for under 200 pictures, else the number of cores, at most 16.

    Returns:
        Plain fastai `DataLoaders` whose items are paths. Tables go with it: `dls.skipped`, every
        picture that was left out (`path`, `reason`), `dls.split`, the others (`path`, `label`,
        `valid`), and `dls.fixed`, what `fixes` said (`path`, `action`, `label`, `was`). A `path` is
        text, below `dls.path` and with `/`, there as in all tables; a whole path where a picture is
        elsewhere. `dls.understood` says in a few lines what was taken for classes and sides, and
        `dls.test_files` are the pictures of a third side, such as `test` beside `train` and `val`.

    Raises:
        DataError: No folder, no pictures, too many bad ones, fewer than two classes, a class with
            one picture, an empty side, or a class that has no training pictures; or `fixes` cannot
            be read, speak of an unknown picture or class, or leave a class none on a side.
        RunError: `cache=` cannot be written.
        ValueError: An option is out of range.
    """
    asked = ask(kwargs)
    listing = list_folder(path, valid=asked.valid)
    warn_of_unused(listing)
    return load(listing, asked)


@delegates(Options)
def from_name_re(
    path_or_files: str | Path | Iterable[str | Path], pat: str | re.Pattern[str], **kwargs: Any
) -> DataLoaders:
    r"""Build `DataLoaders` from pictures whose names hold their labels.

    Args:
        path_or_files: A folder, searched with all folders in it, or the files themselves.
        pat: Regular expression with one group, the label. It is searched in the file's name, as
            `^(.+)_\d+\.jpg$`, or, where it has a `/`, in the whole path with forward slashes, as
            fastai v1's `/([^/]+)_\d+.jpg$`. Pictures without a match are left out.
        **kwargs: As in `from_folder`.

    Returns:
        As `from_folder`.

    Raises:
        DataError: As `from_folder`; also where the pattern matches no picture, or a file that was
            named does not exist.
        ValueError: The pattern is no regular expression or has not just one group; or as
            `from_folder`.
    """
    asked = ask(kwargs)
    return load(list_names(path_or_files, pat), asked)


@delegates(Options)
def from_csv(
    csv: str | Path,
    *,
    images: str | Path | None = None,
    fn_col: Column | None = None,
    label_col: Column | None = None,
    valid_col: Column | None = None,
    header: bool | None = None,
    suffix: str | None = None,
    **kwargs: Any,
) -> DataLoaders:
    """Build `DataLoaders` from a CSV file with a row for each picture.

    Args:
        csv: The file: UTF-8, separated by commas, semicolons, tabs, bars or blanks, read as text.
            Where it is called `train.csv`, a `valid.csv` (or `val`, `validation`) beside it is held
            out, or a `test.csv` with labels, unless `valid` or `valid_col` says who is; where it
            does not fit, that is said.
        images: Folder of the pictures, seen from the file's own folder, and searched with all
            folders in it; by default that one, or the one in it or beside it that has the pictures.
        fn_col: Column of the file names, by name or by number from 0; by default the one that
            names pictures which are there. They are found in any case and spelling, with another
            suffix or without leading zeros (said), and by the end of a path of another machine.
        label_col: Column of the labels; by default the one called `label`, `class`, `category` or
            the like; columns of 0 and 1 with one 1 a row; or the only one left that is no id, no
            patient and no measured number.
        valid_col: Column that says who is held out: yes or no, 1 or 0 (the contrary where it is
            called `train` or `is_train`), train or valid. Rows of `test`, beside others that are
            `valid`, are a third side.
        header: Whether the first row names the columns; by default it does unless it names a
            picture.
        suffix: What the file names lack, as ".jpg"; by default it is found.
        **kwargs: As in `from_folder`; `valid` and `groups` may name a column, and `max_bad` counts
            rows with too many or too few cells, too, apart from the files.

    Returns:
        As `from_folder`.

    Raises:
        DataError: As `from_folder`; also where the table cannot be read, a column is not there, or
            a picture has several labels.
        ValueError: As `from_folder`.
    """
    valid_col, groups, asked = _columns(valid_col, kwargs)
    columns = {"fn_col": fn_col, "label_col": label_col, "valid_col": valid_col, "groups": groups}
    listing = list_csv(
        csv,
        images=images,
        header=header,
        suffix=suffix,
        max_bad=asked.max_bad,
        beside=sides_may_be_found(asked.valid),
        undecided=asked.valid is None,
        **columns,
    )
    return load(listing, asked)


@delegates(Options)
def from_df(
    df: pd.DataFrame,
    *,
    images: str | Path = ".",
    fn_col: Column | None = None,
    label_col: Column | None = None,
    valid_col: Column | None = None,
    suffix: str | None = None,
    **kwargs: Any,
) -> DataLoaders:
    """Build `DataLoaders` from a DataFrame with a row for each picture.

    Args:
        df: The table; it stays as it is.
        images: Folder that the file names are seen from, searched with all folders in it.
        fn_col: See `from_csv`, here and below.
        label_col: Column of the labels.
        valid_col: Column that says who is held out.
        suffix: What the file names lack.
        **kwargs: As in `from_csv`.

    Returns:
        As `from_folder`.

    Raises:
        DataError: As `from_csv`.
        ValueError: As `from_folder`.
    """
    valid_col, groups, asked = _columns(valid_col, kwargs)
    columns = {"fn_col": fn_col, "label_col": label_col, "valid_col": valid_col, "groups": groups}
    undecided = asked.valid is None
    listing = list_df(df, images=images, suffix=suffix, undecided=undecided, **columns)
    return load(listing, asked)


def _columns(
    valid_col: Column | None, kwargs: dict[str, Any]
) -> tuple[Column | None, Column | None, Options]:
    """Take the column names out of `valid=` and `groups=`, which other doors read otherwise."""
    asked = ask(kwargs)
    is_column = valid_folder(asked.valid) is not None
    if is_column and valid_col is not None and valid_col != asked.valid:
        raise ValueError(f"valid and valid_col: expected one column, got {asked.valid!r} too")
    groups = asked.groups if isinstance(asked.groups, str | int) else None
    return asked.valid if is_column else valid_col, groups, asked


@delegates(Options)
def load_data(
    path: str | Path,
    *,
    pat: str | re.Pattern[str] | None = None,
    verbose: bool = True,
    **kwargs: Any,
) -> DataLoaders:
    r"""Look at a path, say how its pictures are labelled, and build `DataLoaders`.

    Known layouts: class folders; `train` beside `valid`, `val`, `validation` or `test`; a CSV file,
    or a folder with one that names its pictures; and file names that hold labels, as
    `great_pyrenees_12.jpg`, for which a pattern is proposed.

    Args:
        path: A folder or a CSV file.
        pat: The pattern of `from_name_re`, where you know it.
        verbose: Print what was understood, in at most six lines: first the call that does the
            same. Without, advice (`Advice`: uneven classes, classes that a mirror makes wrong) is
            not given either.
        **kwargs: As in `from_folder`.

    Returns:
        As `from_folder`.

    Raises:
        DataError: None of these layouts; or as `from_folder`.
        ValueError: As `from_folder`.
    """
    asked = ask(kwargs)
    how = {"valid": asked.valid, "groups": asked.groups, "max_bad": asked.max_bad}
    listing = find_listing(path, pat=pat, **how)
    warn_of_unused(listing, tests=False)
    with without_advice(not verbose):
        dls = load(listing, asked)
    say(str(dls.understood), verbose=verbose)
    return dls

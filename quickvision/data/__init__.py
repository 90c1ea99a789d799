"""From files to `DataLoaders`: found, labelled, looked at, held out.

Knows no model, and never writes into the folder of pictures.

    options    what every door takes, checked at once
    paths      which files are pictures
    tree       the folders as a tree, and what their names say
    folders    the folders as they are looked at, and the calls that load them
    held_side  the folder that `valid=` names, and what is beside it
    sides      which folders are sides, which are classes, which are neither
    rgb        any picture to upright 8-bit RGB; what is black and white in deep ones
    arrays     what may be a picture; an array as one, or why it is none
    pictures   one file opened: upright RGB, from its resized copy where there is one
    view       what a picture becomes before a model looks at it
    splits     the arithmetic of holding out
    labels     what paths say of labels; names for classes that are numbers
    classes    what class names say: their order, look-alikes, what a mirror makes wrong
    patterns   file names that hold labels
    scan       what is in each file, remembered; which are unfit, and why
    listing    what a door found: names, labels, what is fixed about the split
    class_folders class folders, listed
    series     names that belong together: frames of a track, copies of one picture
    twins      pictures that are there twice: to the byte, nearly, turned
    leaks      pictures that are on both sides, or in two classes
    findings   what can be wrong, finding by finding
    cautions   what is said before training starts
    holdout    who is held out, in whatever way it is said; `split.csv`
    mended     what people changed after a look: other classes, pictures that are dropped
    fixes      `fixes.csv`, which says so: read and checked
    wording    a table in messages: its columns and rows, and calls that can be pasted
    rows       a table's text, its rows and their numbers; files that are no text
    cells      from a cell of a table to the picture that it names
    places     which folder a table's pictures are in
    marks      several labels in a cell; columns of 0 and 1 that are classes; ids that are none
    columns    which column says what: pictures, labels, who is held out
    joins      two listings as one, the second held out
    tables     a CSV file or a DataFrame as a listing; a second table beside it
    layouts    look at a path, say how it is labelled
    understood what was understood of a data set, in a few lines
    transforms the transforms of our own pipeline: to size, mirrored, turned
    looking    pictures as validation sees them, in whatever thread
    batches    how many pictures a batch has, and what becomes of the last one
    loaders    from a listing to `DataLoaders`; what is left out: `dls.skipped`
    check      `quickvision.check`: its report, made from the findings
    doors      `from_folder`, `from_name_re`, `from_csv`, `from_df`, `load_data`: the way in

Others may ask: options, paths, rgb, arrays, pictures, view, labels, sides, leaks, holdout, mended,
fixes, layouts, understood, transforms, looking, check, doors.
"""

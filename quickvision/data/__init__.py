"""From files to `DataLoaders`: found, labelled, looked at, held out.

Knows no model, and never writes into the folder of pictures.

    options    what every door takes, checked at once
    paths      which files are pictures, which folders are the two sides
    rgb        any Pillow image to upright 8-bit RGB; what is black and white in deep ones
    pictures   one file opened: upright RGB, from its resized copy where there is one
    splits     the arithmetic of holding out
    labels     what paths say of labels; names for classes that are numbers
    classes    what class names say: their order, look-alikes, what a mirror makes wrong
    scan       what is in each file, remembered; which are unfit, and why
    listing    what a door found: names, labels, what is fixed about the split
    series     names that belong together: frames of a track, copies of one picture
    twins      pictures that are there twice: to the byte, nearly, turned
    leaks      pictures that are on both sides, or in two classes
    findings   what can be wrong, finding by finding
    cautions   what is said before training starts
    holdout    who is held out, in whatever way it is said; `split.csv`
    tables     a CSV file or a DataFrame, and the files that its cells name
    layouts    look at a path, say how it is labelled
    transforms the transforms of our own pipeline: to size, mirrored, turned
    loaders    from a listing to `DataLoaders`; what is left out: `dls.skipped`
    check      `quickvision.check`: its report, made from the findings
    doors      `from_folder`, `from_name_re`, `from_csv`, `from_df`, `load_data`: the way in

Others may ask: options, paths, pictures, labels, holdout, transforms, doors.
"""

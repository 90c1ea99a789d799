"""From an architecture's name to a `Learner`. Knows no files of pictures, and trains nothing.

    options      what `cnn_learner` takes, each declared once; loads no torch
    compute      device, precision, layout, folded norms, the same bits each time
    head         what turns features into classes
    losses       by name
    optimisers   by name; Adam in one kernel, for GPUs
    norms        batch norms that keep what their weights know
    weights      files of weights, read safely: what is in them
    zoo          what a name means: library, settings
    native       the library's own network, less its last layer
    fitting      which tensor of a file is which of a model
    loading      weights into a model, and as code
    body         classifier cut off, layers in groups
    learner      `cnn_learner`

Others may ask: all of them.
"""

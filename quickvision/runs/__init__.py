"""The rooms joined: one training, its folder, its handle. The only folder that asks all others.

    options        how a run trains: each option declared once; loads no torch
    checkpoints    what is kept to go on: how far it is, random states, files
    config         what a run was asked for, and its pictures: `config.json`
    build          from what was asked for to a `Learner`
    launch         start the processes that train together
    checkpointer   the callback that writes checkpoints
    plan           time and epochs, before it begins
    script         `Run.show_code`, by the template beside it
    run            `Run`, the handle
    folder         made, locked, tidied, filled with results
    job            one training, stage by stage
    train          `quickvision.train`, `quickvision.resume`, and the end of both
    compare        `quickvision.compare`

Others may ask: options, build, run, train.
"""

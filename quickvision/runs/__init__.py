"""The rooms joined: one training, its folder, its handle. The only folder that asks all others.

    bottleneck     who waits for whom
    build          from options to a `Learner`
    checkpoints    what is kept to go on: files, random states, how far it is
    config         what a run was asked for, checked; `config.json`
    launch         start the processes that train together
    checkpointer   the callback that writes checkpoints
    plan           time and epochs, before it begins
    script         `Run.show_code`, by the template beside it
    run            `Run`, the handle
    folder         made, locked, tidied, filled with results
    job            one training, stage by stage
    resume         `quickvision.resume`
    train          `quickvision.train`
    compare        `quickvision.compare`

Others may ask: run, train.
"""

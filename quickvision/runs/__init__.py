"""The rooms joined: one training, its folder, its handle. The only folder that asks all others.

    options        how a run trains: each option declared once; loads no torch
    progress       how far a run is: its stages, what it has decided and found
    checkpoints    what is kept to go on: all that, with random states, in files
    keys           what a thing is, as a key: code, state, contents
    config         `config.json`: what a run was asked for, and a hash of its pictures
    build          from what was asked for to a `Learner`
    launch         start the processes that train together
    checkpointer   the callback that writes `log.csv` and checkpoints
    plan           time and epochs, before it begins
    script         `Run.show_code`: the template beside it, and `*_code` functions of other rooms
    stages         what each stage has brought
    spoken         what a run was asked for, as people read it: a call, all settings
    summary        a run's result in a few named lines
    kept           what a finished run keeps, to tell of itself later without its pictures
    run            `Run`, the handle
    more           a finished run that is trained further
    folder         made and numbered, locked, filled; are the pictures still those of the run
    ending         the end of a run: looked at once, written down
    again          a run's learner, built again as it was
    job            one training, stage by stage
    train          `quickvision.train`, `quickvision.resume`, and the end of both
    reopen         `quickvision.load_run`: a finished run, opened again
    candidates     what `quickvision.compare` trains, checked before it begins
    compare        `quickvision.compare`

Others may ask: options, build, run, train.
"""

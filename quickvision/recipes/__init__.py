"""Known data sets in one call: a file for each says how it is fetched, read and trained.

Never trains in a way of its own: a recipe is `train` with settings.

    downloads   fetched once, checked, gone on with where it was cut
    digits      `train_digits` (the demo) and `digit_weights`, offline
    pets        `train_pets`
    ants_bees   `train_ants_bees`
    cars        `train_cars`
    cifar10     `train_cifar10`
    datasets    `fetch_data`: the table of the four fetches

Others may ask: none of them.
"""

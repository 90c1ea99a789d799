"""The page that people read when a run has ended; the same in words; the short form of notebooks.

Computes no figure that `results` has not, trains nothing, loads nothing from a network.

    outcome    what a report is made of, whoever made it; which pictures are worth seeing
    sentences  four sentences made from the numbers
    pictures   thumbnails, heat maps and the large matrix, as data that a page can hold
    charts     lines and cells of the page's charts, in its own coordinates
    matrix     the confusion matrix as cells, or as one picture where there are many classes
    shown      what each section shows: pictures, tables, charts
    page       `report.html`, `report.md` and the short form, from their templates

Others may ask: outcome, page.
"""

"""A page that answers a photo, from an exported folder. Knows no learner, writes nothing.

What comes from outside is limited before it is looked at, and looked at before it is decoded.

    limits   what is too much for the page's server, and how it says no
    photo    a stranger's picture, looked at before it is decoded
    turns    whose turn it is: as many at once as cores, a few that wait
    intake   a picture's bytes as they come, within limits of size and time
    guards   who may ask: names, sites, the token; headers that go with answers
    wire     the connection: slow clients are cut off; how the server ends
    heat     what the page is told of a heat map
    page     the page (`page.html`), example pictures, what is known of the model
    service  what the server answers
    lan      the way from a phone: this computer's address, a code to scan
    serve    `serve`: a page that answers a photo

Others may ask: serve.
"""

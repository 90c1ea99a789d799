from quickvision.web.limits import Limits, Refused, busy


def test_who_is_refused_for_now_is_told_when_to_come_again():
    error = busy()
    assert (error.status, error.headers) == (503, {"Retry-After": "2"})
    assert "try again" in error.why


def test_a_refusal_says_its_sentence():
    error = Refused(415, "expected a picture, got a text")
    assert (str(error), error.headers) == ("expected a picture, got a text", {})


def test_the_files_that_wait_fit_into_what_is_set_aside():
    limits = Limits()
    assert limits.held >= 10 * limits.bytes
    assert limits.idle < limits.body

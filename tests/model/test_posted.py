"""What a sender hears, and what is not shown of what it sent."""

from sensor.model.posted import Posted, refused


def test_a_refusal_says_why_and_when_to_try_again() -> None:
    answer = refused(429, "too many posts", 1)
    assert (answer.status, answer.body, answer.retry_after) == (429, {"error": "too many posts"}, 1)
    assert refused(401, "no").retry_after is None


def test_a_token_does_not_show() -> None:
    assert "s3cret" not in repr(Posted(b"{}", authorization="Bearer s3cret"))

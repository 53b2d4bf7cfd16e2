"""What is not stored yet: order, what belongs together, and what is remembered beside messages."""

from hypothesis import given
from hypothesis import strategies as st

from sensor.deliver import unstored as module
from sensor.deliver.unstored import MAX_ROWS, Unstored
from sensor.model.letter import Fresh, Letter
from sensor.model.told import Told


def fresh(name: str, *, joined: bool = False, severity: str = "warning") -> Fresh:
    letter = Letter("lab", name, name, severity, "watchlist", 0, 0.0)  # type: ignore[arg-type]
    return Fresh(name, (letter,), {}, joined)


def names(queue: Unstored) -> list[str]:
    return [each.body for each in queue]


def test_what_belongs_together_is_never_parted() -> None:
    queue = Unstored()
    for name in "abcd":
        queue.put(fresh(name, joined=name in "bc"))
    queue.remember([Told("x", "1")])
    taken, rows = queue.take(1)
    assert ([each.body for each in taken], rows) == (["a", "b", "c"], {})
    queue.landed()
    taken, rows = queue.take(1)
    assert ([each.body for each in taken], rows) == (["d"], {"x": Told("x", "1")})


def test_what_is_remembered_is_not_written_before_the_messages_in_front_of_it() -> None:
    queue = Unstored()
    queue.remember([Told("x", "old")])
    queue.put(fresh("a"))
    queue.remember([Told("x", "new")])
    assert queue.take(10)[1] == {"x": Told("x", "new")}


def test_given_back_it_is_as_if_nothing_had_been_taken() -> None:
    queue = Unstored()
    queue.put(fresh("a"))
    queue.remember([Told("x", "1", "alert")])
    queue.take(10)
    queue.remember([Told("x", "2"), Told("y", "1")])
    queue.put(fresh("b"))
    queue.give_back()
    assert names(queue) == ["a", "b"]
    assert queue.take(1)[1] == {"x": Told("x", "2", "alert"), "y": Told("y", "1")}


def test_forgotten_counts_more_than_what_was_there_before() -> None:
    queue = Unstored()
    queue.remember([Told("x", "1", "alert")])
    queue.remember([Told("x", None)])
    assert queue.take(1)[1] == {"x": Told("x", None)}
    assert Told("x", "1").after(None) == Told("x", "1")


def test_what_has_no_room_leaves_what_is_remembered_behind(monkeypatch) -> None:
    monkeypatch.setattr(module, "MAX_UNSTORED", 3)
    queue = Unstored()
    for name in "abc":
        assert queue.put(fresh(name, severity="info" if name == "a" else "critical")) == []
        queue.remember([Told("x", name), Told(name, "1")])
    [gone] = queue.put(fresh("d"))
    assert (gone.key, names(queue), sorted(queue.bodies)) == ("a", ["b", "c", "d"], ["b", "c", "d"])
    rows = queue.take(10)[1]
    assert (rows["x"].facts, set(rows)) == ("c", {"x", "a", "b", "c"})


def test_a_letter_that_was_left_out_is_not_taken() -> None:
    queue = Unstored()
    one, two = fresh("a"), fresh("b")
    queue.put(one)
    queue.put(two)
    assert queue.leave_out(one.letters[0])
    assert not queue.leave_out(fresh("c").letters[0])
    assert [each.body for each in queue.take(10)[0]] == ["b"]
    assert queue.leave_out(two.letters[0])
    assert queue.settle(two.letters[0])
    assert not queue.settle(two.letters[0])


def test_rows_have_a_cap() -> None:
    queue = Unstored()
    queue.remember(Told(str(number), "1") for number in range(MAX_ROWS + 5))
    rows = queue.take(1)[1]
    assert len(rows) == MAX_ROWS
    assert "0" not in rows


@given(st.lists(st.sampled_from(["put", "join", "row", "gone", "take", "refuse", "land"]), max_size=60))
def test_whatever_happens_the_store_ends_with_what_was_said_last(steps: list[str]) -> None:
    queue, said, stored, letters = Unstored(), {}, {}, []  # type: ignore[var-annotated]
    for at, step in enumerate(steps):
        match step:
            case "put" | "join":
                each = fresh(str(at), joined=step == "join")
                letters.append(each.letters[0])
                queue.put(each)
            case "row":
                said[str(at % 3)] = str(at)
                queue.remember([Told(str(at % 3), str(at))])
            case "gone" if letters:
                queue.leave_out(letters[at % len(letters)])
            case "take" if not flying(queue):
                pending = queue.take(2)[1]
            case "refuse" if flying(queue):
                queue.give_back()
            case "land" if flying(queue):
                stored |= pending
                queue.landed()
    queue.give_back()
    while True:
        fresher, rows = queue.take(2)
        stored |= rows
        queue.landed()
        if not fresher:
            break
    assert {key: row.facts for key, row in stored.items()} == said


def flying(queue: Unstored) -> bool:
    return bool(queue.flying or queue._flying_rows)

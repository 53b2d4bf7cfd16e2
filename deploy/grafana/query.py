"""PromQL for the panels: every selector asks for the chosen jobs and sensors."""

CHOSEN = 'job=~"$job", instance=~"$instance"'
SENSOR = "job, instance"
PER_CLIENT = "job, instance, client"


def series(name: str, more: str = "") -> str:
    """Of the sensors that were chosen; `more`: further matchers. Ours go by their name without the prefix."""
    foreign = name == "up" or name.startswith(("process_", "scrape_"))
    return f"{name if foreign else f'idlewire_{name}'}{{{', '.join(filter(None, (CHOSEN, more)))}}}"


def rate(name: str, by: str = "", more: str = "") -> str:
    """A counter per second, summed by labels."""
    return f"{_sum(by)} (rate({series(name, more)}[$__rate_interval]))"


def in_range(name: str, by: str = "", more: str = "") -> str:
    """What a counter grew by in the time that is shown, with what it held when it was first seen in that time.

    `increase` leaves that out, and so would show nothing of a client's only contact with a country. It is only added
    where the sensor was there before (or began within that time), and so had time to count it in that time.
    """
    counter = series(name, more)
    grown = f"increase({counter}[$__range])"
    there = f"({series('up')} offset $__range == 1 or {series('process_start_time_seconds')} > time() - $__range_s)"
    begun = f"(min_over_time({counter}[$__range]) unless {counter} offset $__range) and on ({SENSOR}) {there}"
    return f"{_sum(by)} (({grown} + ({begun})) or {grown})"


def named(expression: str) -> str:
    """Per client, with the label `who`: its name, or its id where it has none."""
    info = series("client_info")
    by_id = f'label_replace({info}, "who", "$1", "client", "(.+)")'
    who = f'label_replace({by_id}, "who", "$1", "name", "(.+)")'
    return f"{expression} * on ({PER_CLIENT}) group_left (who) {who}"


def share(part: str, whole: str) -> str:
    """Of two sums; 0 where there is nothing."""
    return f"{part} / clamp_min({whole}, 1)"


def or_zero(total: str) -> str:
    """A sum without labels, where there may be nothing yet to sum up."""
    return f"{total} or 0 * count({series('build_info')})"


def state_number(name: str, by: str, more: str = "") -> str:
    """0 unknown, 1 background, 2 foreground."""
    background, foreground = (series(name, _also(more, f'state="{state}"')) for state in ("background", "foreground"))
    return f"clamp_max(max by ({by}) ({background}) + 2 * max by ({by}) ({foreground}), 2)"


def _also(more: str, matcher: str) -> str:
    return f"{more}, {matcher}" if more else matcher


def _sum(by: str) -> str:
    return f"sum by ({by})" if by else "sum"

"""Budgets and whether they were met."""


class Verdicts:
    """Collects PASS and FAIL lines; prints them as they come."""

    def __init__(self) -> None:
        self.failed: list[str] = []

    def add(self, budget: str, met: bool, measured: str = "") -> None:
        print(f"{'PASS' if met else 'FAIL'}  {budget:<58}{measured}", flush=True)
        if not met:
            self.failed.append(budget)

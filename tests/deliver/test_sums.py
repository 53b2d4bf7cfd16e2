"""What is in no row is said, and only that."""

import pytest

from sensor.deliver.sums import beside_rows
from sensor.model.client import Totals


@pytest.mark.parametrize(
    ("local", "other", "said"),
    [
        ((0, 0), (0, 0), ""),
        ((200, 40), (0, 0), "; of that local: sent 200 B, received 40 B"),
        ((0, 40), (0, 0), "; of that local: received 40 B"),
        ((0, 0), (1500, 0), "; of that other (no room for a row): sent 1.5 KB"),
        ((200, 0), (0, 7), "; of that local: sent 200 B; of that other (no room for a row): received 7 B"),
    ],
)
def test_beside_rows(examples, local, other, said):
    assert beside_rows(examples.client(local=Totals(*local), other=Totals(*other))) == said

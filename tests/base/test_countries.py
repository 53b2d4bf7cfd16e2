import pytest

from sensor.base.countries import COUNTRIES, Country, country_name


def test_there_are_249_countries_with_a_name() -> None:
    assert len(COUNTRIES) == 249
    assert all(len(code) == 2 and code.isupper() and name for code, name in COUNTRIES.items())


def test_codes_are_upper_cased() -> None:
    assert Country("cn") == "CN"


@pytest.mark.parametrize("text", ["CHN", "EU", "AP", "XK", "ZZ", "", "C", "China", "continent:AS"])
def test_what_iso_has_not_assigned_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=f"'{text}' is not an ISO 3166-1 alpha-2 code"):
        Country(text)


def test_the_code_people_expect_for_britain_gets_a_hint() -> None:
    with pytest.raises(ValueError, match="'GB'"):
        Country("UK")


def test_names_are_those_people_use() -> None:
    assert [country_name(code) for code in ("CN", "DE", "US", "AD", "ZW")] == [
        "China",
        "Germany",
        "United States",
        "Andorra",
        "Zimbabwe",
    ]
    assert country_name("XK") == "XK"

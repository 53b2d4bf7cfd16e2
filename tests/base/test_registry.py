import sys
from pathlib import Path

import pytest

from sensor.base.registry import Plugin, Registry
from sensor.errors import ConfigError


@pytest.fixture
def plugins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Registry[Plugin]:
    folder = tmp_path / "idlewire_test_plugins"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "good.py").write_text("class Good:\n    settings_type = dict\n\nPLUGIN = Good\n")
    (folder / "needy.py").write_text("import no_such_module_here\n")
    (folder / "broken.py").write_text("1 / 0\n")
    (folder / "_shared.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    yield Registry("idlewire_test_plugins", "detector")
    for name in [name for name in sys.modules if name.startswith("idlewire_test_plugins")]:
        del sys.modules[name]


def test_a_file_is_a_plug_in(plugins: Registry[Plugin]) -> None:
    assert plugins.names() == ["broken", "good", "needy"]
    assert plugins.find("good").__name__ == "Good"


def test_only_what_is_asked_for_is_imported(plugins: Registry[Plugin]) -> None:
    plugins.find("good")
    assert "idlewire_test_plugins.broken" not in sys.modules


@pytest.mark.parametrize("name", ["nope", "_shared", "", "os", "../good", "good.PLUGIN"])
def test_any_other_name_lists_the_known_ones(plugins: Registry[Plugin], name: str) -> None:
    with pytest.raises(ConfigError, match=r"no detector called .* known: broken, good, needy"):
        plugins.find(name)


def test_a_mistyped_name_gets_a_hint(plugins: Registry[Plugin]) -> None:
    with pytest.raises(ConfigError, match="no detector called 'goood'; did you mean 'good'"):
        plugins.find("goood")


def test_a_plug_in_that_lacks_a_package_is_the_users_to_mend(plugins: Registry[Plugin]) -> None:
    with pytest.raises(ConfigError, match="detector 'needy' cannot be loaded: No module named"):
        plugins.find("needy")


def test_every_one_that_can_be_had_and_later_the_folder_is_not_looked_at(
    plugins: Registry[Plugin], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sensor gives up the right to read its own installation."""
    assert [each.__name__ for each in plugins.every()] == ["Good"]
    monkeypatch.setattr("pkgutil.iter_modules", None)
    assert plugins.find("good").__name__ == "Good"

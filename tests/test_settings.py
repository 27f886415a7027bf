"""One table of settings: documented, read from the environment, overridden by flags, checked."""

from __future__ import annotations

import re
from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest

from geotransfer.errors import SettingInvalid
from geotransfer.settings import BOUNDS, SETTINGS, Setting, read_settings

DOCS = Path(__file__).resolve().parents[1] / "docs" / "settings.md"
OTHER = {int: "7", float: "0.75", str: "tcp://elsewhere:1"}
"""A value of each type that is no setting's default; within every bound unless named below."""
WITHIN_BOUNDS = {"tile_px": "64", "check_pixels": "0"}


def give_other(setting: Setting) -> str:
    return WITHIN_BOUNDS.get(setting.name, OTHER[type(setting.default)])


def read_documented() -> dict[str, tuple[str, str]]:
    rows = re.findall(r"^\| `(\w+)` \| (.+?) \| (.+?) \|$", DOCS.read_text(), re.MULTILINE)
    return {name: (default, told) for name, default, told in rows}


def test_every_setting_is_documented_with_its_default_and_help_and_no_other() -> None:
    expected = {
        s.variable: ("*(empty)*" if s.default == "" else f"`{s.default}`", s.help) for s in SETTINGS
    }
    assert read_documented() == expected


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda s: s.name)
def test_environment_beats_default_and_flag_beats_environment(setting: Setting) -> None:
    text = give_other(setting)
    kind = type(setting.default)
    assert getattr(read_settings({}), setting.name) == setting.default
    from_environment = getattr(read_settings({setting.variable: text}), setting.name)
    assert from_environment == kind(text) != setting.default
    assert type(from_environment) is kind
    beaten = read_settings({setting.variable: text}, {setting.name: setting.default})
    assert getattr(beaten, setting.name) == setting.default
    unset = read_settings({setting.variable: text}, {setting.name: None})
    assert getattr(unset, setting.name) == kind(text)


@pytest.mark.parametrize(
    "setting", [s for s in SETTINGS if not isinstance(s.default, str)], ids=lambda s: s.name
)
def test_text_where_a_number_belongs_is_one_sentence(setting: Setting) -> None:
    with pytest.raises(SettingInvalid) as caught:
        read_settings({setting.variable: "plenty"})
    told = str(caught.value)
    assert told.startswith(f"{setting.variable} is 'plenty', which is not a")
    assert told.endswith(".")
    assert "\n" not in told


def test_every_number_has_bounds() -> None:
    assert set(BOUNDS) == {s.name for s in SETTINGS if not isinstance(s.default, str)}


@pytest.mark.parametrize("name", BOUNDS)
def test_numbers_out_of_bounds_are_refused(name: str) -> None:
    low, high, allowed = BOUNDS[name]
    kind = type(next(s.default for s in SETTINGS if s.name == name))
    step = 1 if kind is int else 1e-3
    for value in (kind(low - step), kind(high + step), float("nan")):
        with pytest.raises(SettingInvalid, match=re.escape(allowed)):
            read_settings({}, {name: value})
    read_settings({}, {name: kind(low)})
    read_settings({}, {name: kind(high)})


@pytest.mark.parametrize(
    ("name", "value"), [("scheduler", "cluster"), ("scheduler", ""), ("workspace", "  ")]
)
def test_text_that_means_nothing_is_refused(name: str, value: str) -> None:
    with pytest.raises(SettingInvalid, match=f"{name} is"):
        read_settings({f"GEOTRANSFER_{name.upper()}": value})


def test_settings_are_frozen_and_can_key_a_cache() -> None:
    settings = read_settings({})
    assert {settings: 1}[read_settings({})] == 1
    with pytest.raises(FrozenInstanceError):
        settings.port = 1


def test_the_folder_is_absolute_and_threads_are_at_least_one(tmp_path: Path) -> None:
    assert read_settings({}).folder.is_absolute()
    assert read_settings({}, {"workspace": "~/x"}).folder == Path.home() / "x"
    assert read_settings({}).thread_count >= 1
    assert read_settings({}, {"n_threads": 3}).thread_count == 3

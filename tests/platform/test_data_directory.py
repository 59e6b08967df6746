from __future__ import annotations

import os
from pathlib import Path

import pytest

from server.data_directory import LEAST_FREE_BYTES, DataDirectory, startup_errors
from server.errors import StartupError


def test_it_is_private_and_can_be_opened_again(tmp_path: Path) -> None:
    directory = DataDirectory(tmp_path / "a" / "data")
    for _ in range(2):
        directory.open()
        directory.close()
        directory.close()
    assert directory.path.stat().st_mode & 0o777 == 0o700
    assert directory.logs.stat().st_mode & 0o777 == 0o700


def test_a_second_server_is_told_who_is_there(tmp_path: Path) -> None:
    first = DataDirectory(tmp_path / "data")
    first.open()
    with pytest.raises(StartupError) as caught:
        DataDirectory(tmp_path / "data").open()
    assert caught.value.code == "data_dir_in_use"
    assert f"process {os.getpid()}." in str(caught.value)
    assert "--data-dir" in str(caught.value)
    first.close()
    DataDirectory(tmp_path / "data").open()


def test_a_disk_that_is_nearly_full_is_refused_and_the_lock_let_go(tmp_path: Path) -> None:
    with pytest.raises(StartupError) as caught:
        DataDirectory(tmp_path / "data", free_bytes=lambda path: LEAST_FREE_BYTES - 1).open()
    assert caught.value.code == "disk_full"
    assert "199 MB" in str(caught.value)
    DataDirectory(tmp_path / "data", free_bytes=lambda path: LEAST_FREE_BYTES).open()


def test_a_place_that_cannot_be_a_directory_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StartupError) as caught:
        DataDirectory(tmp_path / "file" / "data").open()
    assert caught.value.code == "data_dir_unusable"
    assert "\n" not in str(caught.value)


def test_a_disk_that_fills_up_during_the_start_is_told_as_that(tmp_path: Path) -> None:
    with pytest.raises(StartupError) as caught, startup_errors(tmp_path):
        raise OSError(28, "No space left on device")
    assert caught.value.code == "disk_full"

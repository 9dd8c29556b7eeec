"""Compiled kernels are loaded only from where no other user can have put them."""

import os
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from engine.fused import place
from engine.fused.library import NoKernelsError, compiled

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="kernels are compiled on Linux alone")

COMPILER = """#!/bin/sh
if [ "$1" = --version ]; then echo cxx 1; exit; fi
for last; do :; done
echo compiled >"$last"
"""
NOBODY = 65534


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder of one's own, and a compiler that takes no time."""
    compiler = tmp_path / "cxx"
    compiler.write_text(COMPILER)
    compiler.chmod(0o755)
    monkeypatch.setenv("CXX", str(compiler))
    monkeypatch.setenv("KSHOT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def planted(cache: Path) -> Path:
    """The library that would be loaded, once somebody else has written it."""
    library = compiled("kernels")
    assert library.parent == cache / "kernels"
    library.write_text("planted")
    return library


@pytest.mark.parametrize("mode", [0o777, 0o757])
@pytest.mark.parametrize("name", [".", "kernels"])
def test_none_is_loaded_from_a_folder_that_others_can_write_to(
    name: str, mode: int, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    there = planted(cache)
    (cache / name).chmod(mode)
    library = compiled("kernels")
    assert library.parent == Path(os.environ["XDG_RUNTIME_DIR"]) / "kshot" / "kernels"
    assert (library.name, library.read_text()) == (there.name, "compiled\n")
    said = capsys.readouterr().err
    assert said == (
        f"kshot: {cache / name} can be written to by other users (chmod go-w mends that), "
        f"so compiled kernels are kept in {library.parent}\n"
    )
    assert said == f"kshot: {place.kept_elsewhere()}\n"
    (cache / name).chmod(0o755)
    assert place.kept_elsewhere() is None
    assert compiled("kernels") == there


@pytest.mark.parametrize("mode", [0o666, 0o757])
def test_a_library_that_others_can_write_to_is_compiled_anew(
    mode: int, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    library = planted(cache)
    assert compiled("kernels").read_text() == "planted"  # nobody but its user could have
    library.chmod(mode)
    assert compiled("kernels") == library
    assert library.read_text() == "compiled\n" and not library.stat().st_mode & 0o022
    assert "so it is compiled anew" in capsys.readouterr().err


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give files away")
@pytest.mark.parametrize("name", [".", "kernels", "kernels/{library}"])
def test_what_belongs_to_another_user_is_not_loaded(
    name: str, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place_ = cache / name.format(library=planted(cache).name)
    os.chown(place_, NOBODY, -1)
    assert compiled("kernels").read_text() == "compiled\n"
    assert f"kshot: {place_} belongs to another user, so " in capsys.readouterr().err


def test_a_private_folder_that_is_none_is_no_place_either(cache: Path) -> None:
    cache.mkdir(mode=0o777)
    cache.chmod(0o777)
    private = Path(os.environ["XDG_RUNTIME_DIR"]) / "kshot" / "kernels"
    private.mkdir(parents=True)
    private.chmod(0o777)
    with pytest.raises(NoKernelsError, match="kshot/kernels can be written to by other users"):
        compiled("kernels")


def test_a_sticky_folder_keeps_what_is_in_it(cache: Path) -> None:
    """As the temporary folder is: nobody can replace a folder in it that is another's."""
    cache.mkdir()
    cache.chmod(0o1777)
    assert compiled("kernels").parent == cache / "kernels"


@pytest.mark.parametrize(
    ("group", "members", "trusted"), [("me", [], True), ("me", ["me", "you"], False), ("staff", [], False)]
)
def test_the_group_of_one_user_alone_is_that_user(
    group: str, members: list[str], trusted: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tmp_path.chmod(0o775)
    user = SimpleNamespace(pw_name="me", pw_gid=tmp_path.stat().st_gid)
    monkeypatch.setattr(place.pwd, "getpwuid", lambda _: user)
    monkeypatch.setattr(place.grp, "getgrgid", lambda _: SimpleNamespace(gr_name=group, gr_mem=members))
    assert (place.open_to_others(tmp_path) is None) == trusted

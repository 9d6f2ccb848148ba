"""The lock is closed, and installing it neither resolves nor believes what does not fit together. Without network."""

from __future__ import annotations

import dataclasses
import os
import subprocess
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import NormalizedName, canonicalize_name
from packaging.version import Version

from requirements import closure, lock
from requirements.closure import Described, Environment, Pin, Release

ROOT = closure.HERE.parent
RECORD = closure.read_record(closure.RECORD.read_text("utf-8"))
WANTED = [one for name in closure.SETS[-1] for one in closure.read_wanted((closure.HERE / f"{name}.in").read_text())]
PINS = closure.together(
    closure.read_lock((closure.HERE / f"{name}.txt").read_text("utf-8")) for name in closure.SETS[-1]
)
LINUX, ARM, MAC, OLD_MAC = closure.PLATFORMS


def release(version: str, *needs: str, files: tuple[str, ...] = (), extras: tuple[str, ...] = ()) -> Release:
    return Release(version=version, described=[described(*needs, files=files, extras=extras)])


def described(
    *needs: str, files: tuple[str, ...], extras: tuple[str, ...] = (), requires_python: str = ">=3.8"
) -> Described:
    return Described(
        requires_python=requires_python,
        requires_dist=list(needs),
        provides_extra=list(extras),
        files={file: sha256(file.encode()).hexdigest() for file in files},
    )


def locked(record: Mapping[str, Release], **markers: str) -> dict[NormalizedName, Pin]:
    """The lock that has just what the record has."""
    lines = [
        " ".join(
            (
                f"{name}=={one['version']}",
                f"; {markers[name]}" if name in markers else "",
                *(f"--hash=sha256:{digest}" for each in one["described"] for digest in each["files"].values()),
            )
        )
        for name, one in record.items()
    ]
    return closure.read_lock("\n".join(lines))


def said(wanted: str, record: Mapping[str, Release], **markers: str) -> list[str]:
    pins = locked(record, **markers)
    for name, extras in closure.extras_in([Requirement(wanted)], pins, record).items():
        pins[name] = dataclasses.replace(pins[name], extras=extras)
    return closure.sentences(closure.faults([Requirement(wanted)], pins, record))


def wheel(name: str, version: str = "1.0", tag: str = "py3-none-any") -> tuple[str, ...]:
    return (f"{name}-{version}-{tag}.whl",)


# ---------------------------------------------------------------------- the lock of this checkout


def test_the_lock_is_closed_and_the_record_is_about_it() -> None:
    assert closure.wrong() == []


@pytest.mark.parametrize("name", sorted(name for name, pin in PINS.items() if pin.extras))
def test_a_pin_that_does_not_name_an_extra_that_others_ask_for_is_a_fault(name: NormalizedName) -> None:
    """What broke fresh machines: `coverage` was pinned, pytest-cov asks for `coverage[toml]`, a newer one came out."""
    plain = {**PINS, name: dataclasses.replace(PINS[name], extras=frozenset())}
    found = closure.sentences(closure.faults(WANTED, plain, RECORD))
    assert any("locked without naming that extra" in sentence and name in sentence for sentence in found)


def test_nothing_committed_names_a_package_index() -> None:
    for file in closure.HERE.iterdir():
        if file.suffix in {".in", ".txt", ".json", ".py", ".sh"}:
            assert "://" not in file.read_text("utf-8"), file.name


@pytest.mark.parametrize("name", sorted(PINS))
def test_the_lock_is_not_closed_without_any_one_of_its_packages(name: str) -> None:
    pins = {one: pin for one, pin in PINS.items() if one != name}

    oldest_and_newest = [Environment(11, 0, LINUX), Environment(14, 99, MAC)]
    found = closure.sentences(closure.faults(WANTED, pins, RECORD, oldest_and_newest))

    assert any(f"needs {name}" in one.lower().replace("_", "-").replace(".", "-") for one in found), found


@pytest.mark.parametrize("name", sorted(PINS))
def test_a_changed_version_or_hash_is_seen(name: str) -> None:
    pin = PINS[canonicalize_name(name)]
    other = {**PINS, pin.name: Pin(pin.name, Version("0.0.1"), pin.marker, frozenset(list(pin.hashes)[1:]))}

    assert len(closure.disagreements(other, RECORD)) == 2


# ---------------------------------------------------------------------- what makes a lock not closed


def test_a_package_that_only_newer_pythons_need() -> None:
    record = {"discord-py": release("2.7", 'audioop-lts; python_version >= "3.13"', files=wheel("discord_py", "2.7"))}

    (sentence,) = said("discord.py", record)

    assert sentence.startswith("discord-py needs audioop-lts, which is not locked (CPython 3.13 on Linux x86-64, ")
    assert "3.12" not in sentence


def test_a_package_that_only_early_releases_of_a_python_need() -> None:
    needs = 'async-timeout; python_full_version < "3.11.3"'

    (sentence,) = said("redis", {"redis": release("1.0", needs, files=wheel("redis"))})

    assert "CPython 3.11 on macOS arm64" in sentence
    assert "3.12" not in sentence


@pytest.mark.parametrize(
    ("marker", "place"),
    [
        ('sys_platform == "darwin" and platform_machine == "arm64"', "macOS arm64"),
        ('platform_system == "Linux" and platform_machine == "aarch64"', "Linux aarch64"),
    ],
)
def test_a_package_that_only_another_system_needs(marker: str, place: str) -> None:
    (sentence,) = said("one", {"one": release("1.0", f"helper>=1; {marker}", files=wheel("one"))})

    everywhere = ", ".join(f"CPython 3.{minor} on {place}" for minor in range(11, 15))
    assert sentence == f"one needs helper>=1, which is not locked ({everywhere})"


def test_windows_is_not_locked_for() -> None:
    assert said("one", {"one": release("1.0", 'colorama; sys_platform == "win32"', files=wheel("one"))}) == []


def test_what_an_extra_of_a_dependency_needs() -> None:
    # The lock of old: `coverage` is pinned, and pytest-cov asks for `coverage[toml]`.
    record = {
        "pytest-cov": release("7.1", "coverage[toml]>=7.10", files=wheel("pytest_cov", "7.1")),
        "coverage": release("7.17.3", 'tomli; extra == "toml"', files=wheel("coverage", "7.17.3"), extras=("toml",)),
    }

    (sentence,) = said("pytest-cov", record)

    assert sentence.startswith("coverage[toml] needs tomli, which is not locked")
    assert said("pytest-cov", {**record, "tomli": release("2.0", files=wheel("tomli", "2.0"))}) == []


def test_an_extra_that_asks_for_another_extra() -> None:
    record = {
        "one": release(
            "1.0",
            'one[inner-most]; extra == "outer"',
            'two; extra == "inner-most"',
            files=wheel("one"),
            extras=("outer", "Inner_Most"),
        )
    }

    (sentence,) = said("one[outer]", record)

    assert sentence.startswith("one[inner-most] needs two, which is not locked")


def test_an_extra_that_is_not_there_any_more() -> None:
    (sentence,) = said("one[gone]", {"one": release("1.0", files=wheel("one"))})

    assert sentence.startswith("Easel needs one[gone], and there is no such extra")


def test_a_locked_version_that_is_not_the_wanted_one() -> None:
    record = {"one": release("1.0", "two<2", files=wheel("one")), "two": release("2.0", files=wheel("two", "2.0"))}

    (sentence,) = said("one", record)

    assert sentence.startswith("one needs two<2, and 2.0 is locked")


def test_a_pin_with_too_narrow_a_marker() -> None:
    record = {"one": release("1.0", "two", files=wheel("one")), "two": release("1.0", files=wheel("two"))}

    (sentence,) = said("one", record, two='python_version >= "3.12"')

    assert sentence.startswith("one needs two, which is not locked (CPython 3.11 on Linux x86-64")
    assert "3.12" not in sentence


@pytest.mark.parametrize(
    ("tag", "missing"),
    [
        ("cp313-cp313-win_amd64", 16),
        ("cp311-abi3-manylinux_2_17_x86_64.manylinux2014_x86_64", 12),
        ("cp311-abi3-manylinux_2_28_aarch64", 12),
        ("cp39-abi3-macosx_11_0_arm64", 12),
        ("cp314-cp314-macosx_10_15_universal2", 14),
        ("cp313-cp313-musllinux_1_2_x86_64", 16),
        ("cp313-none-manylinux_2_39_x86_64", 16),
    ],
)
def test_a_release_without_a_file_for_an_environment(tag: str, missing: int) -> None:
    (sentence,) = said("one", {"one": release("1.0", files=wheel("one", tag=tag))})

    assert sentence.startswith("one 1.0 has no locked file that fits (")
    assert sentence.count("CPython") == missing
    assert said("one", {"one": release("1.0", files=(*wheel("one", tag=tag), "one-1.0.tar.gz"))}) == []


def test_a_release_that_does_not_take_a_python() -> None:
    one = Release(version="1.0", described=[described(files=wheel("one"), requires_python=">=3.12")])

    (sentence,) = said("one", {"one": one})

    assert sentence.startswith("one 1.0 has no locked file that fits (CPython 3.11 on Linux x86-64")
    assert "3.12" not in sentence


def test_where_there_is_only_the_source_its_wheels_are_heard_too() -> None:
    one = Release(
        version="1.0",
        described=[
            described(files=("one-1.0.tar.gz",)),
            described("two", files=wheel("one", tag="cp311-abi3-manylinux_2_28_x86_64")),
        ],
    )

    (sentence,) = said("one", {"one": one})

    assert sentence.count("CPython") == 16
    assert list(closure.from_source(locked({"one": one}), {"one": one})) == ["one"]


def test_wheels_that_do_not_need_the_same() -> None:
    one = Release(
        version="1.0",
        described=[
            described(files=wheel("one", tag="cp311-abi3-manylinux_2_28_x86_64")),
            described("two", files=wheel("one", tag="cp311-abi3-manylinux_2_28_aarch64")),
        ],
    )

    sentences = closure.sentences(
        closure.faults(
            [Requirement("one")],
            locked({"one": one}),
            {"one": one},
            [Environment(11, 0, LINUX), Environment(11, 0, ARM)],
        )
    )

    assert sentences == ["one needs two, which is not locked (CPython 3.11 on Linux aarch64)"]


def test_a_package_that_nothing_needs() -> None:
    record = {"one": release("1.0", files=wheel("one")), "two": release("1.0", files=wheel("two"))}

    assert said("one", record) == ["nothing needs two"]


@pytest.mark.parametrize(
    "text", ["one==1.0", "one>=1.0 --hash=sha256:00", "one==1 --hash=sha256:0\none==1 --hash=sha256:0"]
)
def test_a_lock_without_hash_or_pin_is_none(text: str) -> None:
    with pytest.raises(ValueError, match="not one hashed pin of one"):
        closure.read_lock(text)


def test_two_locks_that_contradict_each_other() -> None:
    first, second = (locked({"one": release(version, files=wheel("one", version))}) for version in ("1.0", "1.1"))

    with pytest.raises(ValueError, match="one is locked twice"):
        closure.together([first, second])


def test_a_package_that_only_one_of_lock_and_record_has() -> None:
    record = {"one": release("1.0", files=wheel("one"))}

    assert closure.disagreements({}, record) == ["locked.json knows one, which is not locked"]
    assert closure.disagreements(locked(record), {}) == ["one is locked, and locked.json does not know it"]


# ---------------------------------------------------------------------- what `make lock` adds


class FakeIndex(lock.Index):
    def __init__(self, *releases: Release) -> None:
        self._releases = releases

    def files(self, name: str) -> list[lock.File]:
        return [
            lock.File(file, Version(release["version"]), digest, lambda one=one: as_metadata(one))  # type: ignore[misc]
            for release in self._releases
            for one in release["described"]
            for file, digest in one["files"].items()
            if file.startswith(f"{name.replace('-', '_')}-")
        ]


def as_metadata(one: Described) -> bytes:
    lines = ["Metadata-Version: 2.1", f"Requires-Python: {one['requires_python']}"]
    lines += [f"Requires-Dist: {need}" for need in one["requires_dist"]]
    lines += [f"Provides-Extra: {extra}" for extra in one["provides_extra"]]
    return "\n".join((*lines, "", "Requires-Dist: a description")).encode()


ONE = release("1.0", 'audio-new>=0.1; python_version >= "3.13"', files=wheel("one"))
AUDIO = Release(
    version="0.2",
    described=[described("deep", files=wheel("audio_new", "0.2"), requires_python=">=3.13")],
)
AUDIO_FOR_WINDOWS = release("0.3", files=wheel("audio_new", "0.3", "cp313-abi3-win_amd64"))
DEEP = release("5.0", files=wheel("deep", "5.0"))


def test_what_newer_pythons_need_is_added_with_a_marker_and_so_is_what_that_needs() -> None:
    records = lock.Records(FakeIndex(ONE, AUDIO, AUDIO_FOR_WINDOWS, DEEP), {})
    compiled = locked({"one": ONE})

    added = lock.completed(compiled, [Requirement("one")], {}, records)

    assert [lock.line_of(*added[name]).replace(" \\\n   ", "") for name in sorted(added)] == [
        f'{name}=={version} ; python_version >= "3.13" '
        f"--hash=sha256:{sha256(file.encode()).hexdigest()}\n    # via {by}\n"
        for name, version, file, by in [
            ("audio-new", "0.2", *wheel("audio_new", "0.2"), "one"),
            ("deep", "5.0", *wheel("deep", "5.0"), "audio-new"),
        ]
    ]
    pins = compiled | {name: pin for name, (pin, _) in added.items()}
    assert closure.faults([Requirement("one")], pins, records.of(pins)) == []


def test_a_version_that_was_locked_before_is_kept() -> None:
    newer = release("6.0", files=wheel("deep", "6.0"))
    records = lock.Records(FakeIndex(ONE, AUDIO, DEEP, newer), {})
    before = locked({"deep": DEEP})

    added = lock.completed(locked({"one": ONE}), [Requirement("one")], before, records)
    upgraded = lock.completed(locked({"one": ONE}), [Requirement("one")], {}, records)

    assert str(added[canonicalize_name("deep")][0].version) == "5.0"
    assert str(upgraded[canonicalize_name("deep")][0].version) == "6.0"


def test_what_no_release_can_give_stops_the_lock() -> None:
    records = lock.Records(FakeIndex(ONE, AUDIO_FOR_WINDOWS), {})

    with pytest.raises(SystemExit, match="No release of audio-new"):
        lock.completed(locked({"one": ONE}), [Requirement("one")], {}, records)


def test_a_file_that_was_read_before_is_not_read_again() -> None:
    class Unread(FakeIndex):
        def files(self, name: str) -> list[lock.File]:
            return [lock.File(one.name, one.version, one.sha256, unread) for one in super().files(name)]

    def unread() -> bytes:
        pytest.fail("read again")

    record = {"one": ONE}

    assert lock.Records(Unread(ONE), record).of(locked(record)) == record


@pytest.mark.parametrize(
    ("environments", "marker"),
    [
        (closure.ENVIRONMENTS, "None"),
        ([Environment(minor, 0, LINUX) for minor in (13, 14)], 'python_version >= "3.13" and sys_platform == "linux" '),
        ([Environment(11, 0, one) for one in closure.PLATFORMS], 'python_version < "3.12"'),
        ([Environment(minor, 0, one) for minor in (11, 14) for one in (MAC, OLD_MAC)], 'sys_platform == "darwin" '),
    ],
)
def test_a_marker_is_true_wherever_it_must_be(environments: list[Environment], marker: str) -> None:
    made = lock.marker_for(environments)

    assert f"{made} ".startswith(marker)
    assert all(one.holds(made) for one in environments)
    assert {one.minor for one in closure.ENVIRONMENTS if one.holds(made)} >= {one.minor for one in environments}


def test_what_was_compiled_without_a_marker_gets_the_one_it_needs() -> None:
    text = "audio-new==0.2 \\\n    --hash=sha256:00\n    # via one\none==1.0 \\\n    --hash=sha256:11\n"
    newer = [one for one in closure.ENVIRONMENTS if one.minor >= 13]
    where = {canonicalize_name("audio-new"): newer, canonicalize_name("one"): list(closure.ENVIRONMENTS)}

    assert lock.narrowed(text, where) == text.replace("0.2 ", '0.2 ; python_version >= "3.13" ')


def test_metadata_is_read_up_to_the_description() -> None:
    one = described("two", 'three; extra == "more"', files=wheel("one"), extras=("more",))

    assert lock.described(as_metadata(one), one["files"]) == one
    assert SpecifierSet(one["requires_python"])


# ---------------------------------------------------------------------- installing


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with a Python that only writes down what pip is asked, and says of `pip check` what the test wants."""
    folder = tmp_path / "requirements"
    folder.mkdir()
    (folder / "install.sh").write_bytes((closure.HERE / "install.sh").read_bytes())
    (folder / "runtime.txt").write_text("one==1.0 \\\n    --hash=sha256:00\n")
    (folder / "dev.txt").write_text("two-more==1.0 \\\n    --hash=sha256:00\n")
    python = tmp_path / ".venv/bin/python"
    python.parent.mkdir(parents=True)
    python.write_text(
        '#!/bin/sh\ncase "$*" in\n-c*) ;;\n*" check "*) cat check; test ! -s check ;;\n*) echo "$*" >>asked ;;\nesac\n'
    )
    python.chmod(0o755)
    (tmp_path / "check").write_text("")
    return tmp_path


def install(checkout: Path, what: str = "dev") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", checkout / "requirements/install.sh", what],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": os.environ["PATH"]},
    )


def stamps(checkout: Path) -> set[str]:
    return {file.name for file in (checkout / ".venv").glob(".installed-*")}


def test_installing_neither_resolves_nor_leaves_out_a_hash(checkout: Path) -> None:
    assert install(checkout).returncode == 0
    assert install(checkout).stderr == ""

    asked = (checkout / "asked").read_text().splitlines()
    assert len(asked) == 2
    assert all("--no-deps --require-hashes -r requirements/" in line for line in asked)
    assert stamps(checkout) == {".installed-runtime.txt", ".installed-dev.txt"}


@pytest.mark.parametrize(
    "line",
    [
        "one 1.0 requires missing, which is not installed.",
        "one 1.0 has requirement other<2, but you have other 2.0.",
        "One 1.0 is not supported on this platform",
        "Traceback (most recent call last):",
    ],
)
def test_what_does_not_fit_together_fails_the_setup(checkout: Path, line: str) -> None:
    (checkout / "check").write_text(f"{line}\n")

    for _ in range(2):
        outcome = install(checkout)
        assert outcome.returncode == 1
        assert line in outcome.stderr
        assert "does not fit together" in outcome.stderr
        assert stamps(checkout) == set()


def test_each_lock_is_asked_about_with_those_below_it(checkout: Path) -> None:
    (checkout / "check").write_text("Two_more 1.0 requires missing, which is not installed.\n")

    assert install(checkout, "runtime").returncode == 0
    assert install(checkout, "dev").returncode == 1
    assert stamps(checkout) == {".installed-runtime.txt"}


def test_what_an_older_lock_left_behind_may_be_discontent(checkout: Path) -> None:
    (checkout / "check").write_text(
        "WARNING: something that pip says\n"
        "gone 1.0 has requirement one<1, but you have one 1.0.\n"
        "gone-too 1.0 requires missing, which is not installed.\n"
    )

    assert install(checkout).returncode == 0
    assert install(checkout).stderr == ""
    assert stamps(checkout) == {".installed-runtime.txt", ".installed-dev.txt"}


def test_the_image_is_made_in_the_same_way() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text("utf-8")

    assert "--no-deps --require-hashes -r" in dockerfile
    assert "pip check" in dockerfile
    bases = [line.split()[1] for line in dockerfile.splitlines() if line.startswith("FROM ")]
    assert len(set(bases)) == 1
    assert "@sha256:" in bases[0]

"""The image as far as it can be tried without Docker: what is copied, where it looks for files, what it listens on."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
DOCKERFILE = (ROOT / "Dockerfile").read_text("utf-8")
COMPOSE = (ROOT / "compose.yaml").read_text("utf-8")
README = (ROOT / "README.md").read_text("utf-8")
LINKS = dict(re.findall(r"ln -s (\S+) (\S+)", DOCKERFILE))
VARIABLES = dict(re.findall(r"^    (EASEL_\w+)=(\S+)", DOCKERFILE, re.MULTILINE))
OWN_MODEL = re.findall(r"<!-- own-model -->\n```toml\n(.*?)```", README, re.DOTALL)[0]


def test_everything_that_is_copied_reaches_the_builder() -> None:
    rules = (ROOT / ".dockerignore").read_text("utf-8").split("\n")
    for source in re.findall(r"^COPY (?!--)(\S+) ", DOCKERFILE, re.MULTILINE):
        ignored = False
        for rule in filter(None, (line.strip() for line in rules if not line.startswith("#"))):
            if fnmatch(source, rule.removeprefix("!")):
                ignored = not rule.startswith("!")
        assert not ignored, source
        assert (ROOT / source).exists()


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """The root of a container's files: the links as the image has them, with what compose.yaml mounts."""
    home = tmp_path / "home" / "easel"
    home.mkdir(parents=True)
    (tmp_path / "data").mkdir(0o700)
    for target, name in LINKS.items():
        (home / name).symlink_to(tmp_path / target.removeprefix("/"))
    return tmp_path


def easel(image: Path, *arguments: str) -> str:
    """What a command says inside the container."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    done = subprocess.run(
        [sys.executable, "-m", "bot", *arguments],
        cwd=image / "home" / "easel",
        env={**kept, "PYTHONPATH": str(ROOT), **VARIABLES},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout + done.stderr


def test_without_a_config_folder_everything_has_its_default(image: Path) -> None:
    assert f"{image}/data/easel.db will be made" in easel(image, "check")

    assert "revision" in easel(image, "db", "upgrade")
    assert (image / "data" / "easel.db").exists()
    assert "Wrote" in easel(image, "db", "backup", "--keep", "2")
    assert len([*(image / "data" / "backups").iterdir()]) == 1


def test_config_toml_and_own_models_are_found_in_the_mounted_folder(image: Path) -> None:
    (image / "config" / "models").mkdir(parents=True)
    (image / "config" / "models" / "flux-dev.toml").write_text(OWN_MODEL)
    (image / "config" / "config.toml").write_text('[models]\nfolder = "models"\ndisabled = ["imagen4"]\n')

    said = easel(image, "models")

    assert "FLUX.1 dev" in said
    assert "imagen4 " not in said


def test_a_mistake_in_the_mounted_config_is_named(image: Path) -> None:
    (image / "config").mkdir()
    (image / "config" / "config.toml").write_text("[limits]\nimages = 3\n")

    assert "there is no such setting" in easel(image, "check")


def test_the_web_server_can_be_reached_from_outside_the_container() -> None:
    assert VARIABLES == {"EASEL_WEB__HOST": "0.0.0.0", "EASEL_WEB__PORT": "8080"}
    assert "EXPOSE 8080" in DOCKERFILE
    assert '      - "127.0.0.1:8080:8080"\n' in COMPOSE


def test_compose_mounts_what_the_image_looks_for() -> None:
    assert "    volumes:\n      - data:/data\n      - ./config:/config:ro\n" in COMPOSE
    assert set(LINKS) == {"/data", "/config/config.toml", "/config/models"}
    assert re.search(r"^volumes:\n  data:$", COMPOSE, re.MULTILINE)
    assert re.search(r"^    env_file: \.env$", COMPOSE, re.MULTILINE)
    assert "\t" not in COMPOSE


def test_a_stop_is_a_signal_that_the_bot_heeds_and_health_is_asked_of_itself() -> None:
    assert re.search(r"^STOPSIGNAL SIGTERM$", DOCKERFILE, re.MULTILINE)
    assert re.search(r'^ENTRYPOINT \["python", "-m", "bot"\]$', DOCKERFILE, re.MULTILINE)
    assert 'CMD python -m bot check --health "http://127.0.0.1:${EASEL_WEB__PORT}/health"' in DOCKERFILE
    assert re.search(r"^USER \d+:\d+$", DOCKERFILE, re.MULTILINE)


@pytest.mark.parametrize(
    "flag", ["--env-file .env", "-v easel-data:/data", '-v "$PWD/config:/config:ro"', "-p 127.0.0.1:8080:8080"]
)
def test_the_readme_runs_the_image_with_all_that_compose_gives_it(flag: str) -> None:
    assert flag in README

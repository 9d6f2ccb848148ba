"""What clings to a setting that was pasted, or written for a shell: trimmed where that is harmless, else named."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest

import bot.__main__
from bot.errors import SettingsInvalid
from bot.settings import load_settings

TOKEN = "MTIzNDU2Nzg5MDEyMzQ1Njc4.GabcdE.abcdefghijklmnopqrstuvwxyz0123456789AB"
FAL_KEY = "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0:0123456789abcdef0123456789abcdef"
OPENAI = "sk-proj-0123456789abcdefghij"
SECRETS = {"DISCORD_TOKEN": TOKEN, "FAL_KEY": FAL_KEY, "OPENAI_API_KEY": OPENAI}
LONG_NAMES = {
    "EASEL_DISCORD__TOKEN": TOKEN,
    "EASEL_FAL__KEY": FAL_KEY,
    "EASEL_FAL__OPENAI_API_KEY": OPENAI,
}
QUOTES = ['"{}"', "'{}'", "“{}”", "‘{}’", "`{}`", "«{}»", '"{}', "{}'", '\ufeff"{}"\r', " '{}' "]


def load(folder: Path, place: str, given: dict[str, str]) -> None:
    """Read the settings, given in one of the places that they may be in."""
    environ = {}
    if place == "the environment":
        environ = given
    else:
        (folder / "secrets").mkdir()
        for name, value in given.items():
            (folder / "secrets" / name).write_text(value, "utf-8", newline="")
        environ = {"EASEL_SECRETS_DIR": "secrets"}
    load_settings(environ=environ, cwd=folder)


def refusal(folder: Path, place: str, given: dict[str, str]) -> str:
    with pytest.raises(SettingsInvalid) as caught:
        load(folder, place, given)
    assert caught.value.__cause__ is None
    return caught.value.sentence


def pieces(secret: str) -> list[str]:
    return [secret[at : at + 6] for at in range(0, len(secret) - 6, 6)]


@pytest.mark.parametrize("shape", QUOTES)
@pytest.mark.parametrize("place", ["the environment", "the secrets folder"])
@pytest.mark.parametrize(("name", "value"), [*SECRETS.items(), *LONG_NAMES.items()])
def test_quotes_around_a_secret_are_named(tmp_path: Path, place: str, name: str, value: str, shape: str) -> None:
    said = refusal(tmp_path, place, {name: shape.format(value)})

    assert said.startswith(f"{name} in {place}: a quotation mark arrived as part of its value.")
    assert said.count("\n") == 0
    assert not [piece for piece in pieces(value) if piece in said]


OTHERS = {
    "EASEL_DATABASE_URL": "postgresql://easel:hunter2hunter2@db/easel",
    "EASEL_DISCORD__API_URL": "https://discord.com/api/v10",
    "EASEL_FAL__MAX_IN_FLIGHT": "4",
    "EASEL_LIMITS__ENABLED": "false",
    "EASEL_MODELS__DEFAULT": "flux-schnell",
    "EASEL_MODELS__DISABLED": "imagen4,f-lite",
    "EASEL_WEB__HOST": "0.0.0.0",
    "EASEL_WEB__PORT": "8080",
    "EASEL_LOG__LEVEL": "INFO",
    "EASEL_CONFIG": "config.toml",
    "EASEL_SECRETS_DIR": "secrets",
    "HTTPS_PROXY": "http://user:hunter2hunter2@proxy:3128",
    "NO_PROXY": "localhost",
    "easel_fal__max_in_flight": "4",
}


@pytest.mark.parametrize("shape", ['"{}"', "'{}'", "“{}”", '"{}'])
@pytest.mark.parametrize(("name", "value"), OTHERS.items())
def test_quotes_around_any_setting_are_named(tmp_path: Path, name: str, value: str, shape: str) -> None:
    said = refusal(tmp_path, "the environment", {name: shape.format(value)})

    assert said.startswith(f"{name.upper()} in the environment: a quotation mark arrived")
    assert "\n" not in said
    assert "hunter2" not in said


def test_all_quotes_of_a_file_are_told_at_once_beside_other_mistakes(tmp_path: Path) -> None:
    given = {
        "DISCORD_TOKEN": f'"{TOKEN}"',
        "FAL_KEY": f'"{FAL_KEY}"',
        "EASEL_WEB__PORT": '"80"',
        "EASEL_WEB__HOSTS": "x",
    }

    said = refusal(tmp_path, "the environment", given | {"EASEL_FAL__MAX_IN_FLIGHT": "many"})

    assert [line.split(" ")[0] for line in said.splitlines()] == [
        "DISCORD_TOKEN",
        "EASEL_WEB__PORT",
        "FAL_KEY",
        "EASEL_FAL__MAX_IN_FLIGHT",
        "EASEL_WEB__HOSTS",
    ]


def test_json_and_inner_quotes_are_no_mistake(tmp_path: Path) -> None:
    given = {"EASEL_MODELS__DISABLED": '["imagen4"]', "EASEL_MODELS__FOLDER": "Ada's models"}

    settings = load_settings(environ=given, cwd=tmp_path)

    assert settings.models.disabled == ("imagen4",)
    assert settings.models.folder == Path("Ada's models")


def test_dotenv_takes_quotes_as_a_shell_does(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(f'DISCORD_TOKEN="{TOKEN}"\nFAL_KEY=\'{FAL_KEY}\'\nEASEL_WEB__PORT="8080"\n')

    settings = load_settings(environ={}, cwd=tmp_path)

    assert settings.discord.token is not None
    assert settings.discord.token.get_secret_value() == TOKEN
    assert settings.web.port == 8080


AROUND = [
    " {} ",
    "{}\r",
    "{}\r\n",
    "\ufeff{}",
    "\u200b{}\u200b",
    "{}\u00a0",
    "\t{}\n",
    "\u2060{}\u200d",
    "{}\u00ad",
    "\u3000{}",
]


@pytest.mark.parametrize("shape", AROUND)
@pytest.mark.parametrize("place", ["the environment", "the secrets folder", "config.toml"])
def test_what_cannot_be_seen_around_a_value_is_left_out(tmp_path: Path, place: str, shape: str) -> None:
    if place == "config.toml":
        text = shape.format(TOKEN).replace("\r", "\\r").replace("\n", "\\n").replace("\t", "\\t")
        (tmp_path / "config.toml").write_text(f'[discord]\ntoken = "{text}"\n')
        environ = {}
    else:
        environ = {"DISCORD_TOKEN": shape.format(TOKEN), "EASEL_WEB__PORT": shape.format("8080")}
        if place == "the secrets folder":
            (tmp_path / "secrets").mkdir()
            for name, value in environ.items():
                (tmp_path / "secrets" / name).write_text(value, "utf-8", newline="")
            environ = {"EASEL_SECRETS_DIR": "secrets"}

    settings = load_settings(environ=environ, cwd=tmp_path)

    assert settings.discord.token is not None
    assert settings.discord.token.get_secret_value() == TOKEN
    assert settings.web.port == (None if place == "config.toml" else 8080)


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        ("Bot {}", "it begins with “Bot”"),
        ("bot {}", "it begins with “bot”"),
        ("Bearer {}", "it begins with “Bearer”"),
        ("Key {}", "it begins with “Key”"),
        ("Token: {}", "it begins with “Token”"),
        ("DISCORD_TOKEN={}", "it begins with a name"),
        ("export FAL_KEY = {}", "it begins with a name"),
        ("{}\u200b{}", "an invisible character (zero width space)"),
        ("{}\ufeff{}", "an invisible character"),
        ("{} {}", "a space"),
        ("{}\u00a0{}", "a space"),
        ("{}\t{}", "a space"),
        ("{}\n{}", "a line break"),
        ("{}\r\n{}", "a line break"),
        ("{}\x00", "an invisible character"),
        ("{}é", "a letter or sign that no token has"),
        ("{}…", "a letter or sign that no token has"),
    ],
)
@pytest.mark.parametrize(("name", "value"), SECRETS.items())
def test_what_is_wrong_with_a_secret_is_named_and_its_value_is_not(
    tmp_path: Path, name: str, value: str, shape: str, words: str
) -> None:
    text = shape.format(value[:16], value[16:])
    section, key = {"DISCORD_TOKEN": ("discord", "token"), "FAL_KEY": ("fal", "key")}.get(
        name, ("fal", "openai_api_key")
    )
    escaped = "".join(f"\\u{ord(one):04x}" if ord(one) < 32 else one for one in text)
    (tmp_path / "config.toml").write_text(f'[{section}]\n{key} = "{escaped}"\n', "utf-8")
    for environ, called in (({name: text}, f"{name} in the environment: "), ({}, f"`{section}.{key}` in ")):
        with pytest.raises(SettingsInvalid) as caught:
            load_settings(environ=environ, cwd=tmp_path)

        said = caught.value.sentence
        assert said.startswith(called)
        assert words in said
        assert not [piece for piece in pieces(value) if piece in said]


TYPED_FOR_A_NAME = {
    "EASEL_MODELS__DISABLED": "models",
    "EASEL_MODELS__DEFAULT": "check",
    "EASEL_MODELS__FOLDER": "models",
    "EASEL_CONFIG": "models",
    "EASEL_SECRETS_DIR": "models",
    "EASEL_WEB__PORT": "models",
    "EASEL_LOG__LEVEL": "models",
    "EASEL_LIMITS__TIERS": "models",
    "": "",
}


LONG_OPENAI = "sk-proj-" + "aB3dE6gH9jK2mN5pQ8sT" * 2
TYPED = [*(half for secret in (TOKEN, FAL_KEY, LONG_OPENAI) for half in (secret, secret[: len(secret) // 2]))]
TYPED += [TOKEN[len(TOKEN) // 2 :], FAL_KEY[len(FAL_KEY) // 2 :], LONG_OPENAI[len(LONG_OPENAI) // 2 :]]


def said_by(command: str, capfd: pytest.CaptureFixture[str]) -> str:
    with suppress(SystemExit):
        bot.__main__.main([command])
    return "".join(capfd.readouterr())


@pytest.mark.parametrize("typed", TYPED)
@pytest.mark.parametrize("name", TYPED_FOR_A_NAME)
def test_a_secret_where_a_name_belongs_is_not_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], name: str, typed: str
) -> None:
    monkeypatch.chdir(tmp_path)
    if name:
        monkeypatch.setenv(name, f'{{"{typed}": {{"weight": 2}}}}' if name.endswith("TIERS") else typed)

    said = said_by(TYPED_FOR_A_NAME[name] or typed, capfd)

    assert said
    assert not [piece for piece in pieces(typed) if piece in said]


@pytest.mark.parametrize("name", ["EASEL_WEB__PORT", "EASEL_LOG__LEVEL", "EASEL_LOG__FORMAT", "EASEL_SECRETS_DIR"])
@pytest.mark.parametrize("password", ["Tr0ub4dor&3xyz!", "Easel-2026-geheim$", "a1B2c3D4!"])
def test_a_made_up_password_where_a_number_or_a_choice_belongs_is_not_shown(
    tmp_path: Path, name: str, password: str
) -> None:
    said = refusal(tmp_path, "the environment", {name: password})

    assert said.startswith(name)
    assert not [piece for piece in pieces(password + "-----") if piece in said]


@pytest.mark.parametrize("placeholder", ["…", "...", "****"])
def test_a_placeholder_is_told_from_a_token(tmp_path: Path, placeholder: str) -> None:
    said = refusal(tmp_path, "the environment", {"DISCORD_TOKEN": placeholder})

    assert said.startswith("DISCORD_TOKEN in the environment: it is still a placeholder.")


@pytest.mark.parametrize(
    "name", ["\ufeffDISCORD_TOKEN", "DISCORD_TOKEN\u200b", '"FAL_KEY', " EASEL_WEB__PORT", "FAL_KEY\r"]
)
def test_an_invisible_character_in_a_name_is_named(tmp_path: Path, name: str) -> None:
    said = refusal(tmp_path, "the environment", {name: "1234"})

    assert "arrived as part of its name" in said
    assert "1234" not in said

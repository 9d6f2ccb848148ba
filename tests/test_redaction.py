"""Nothing that has the shape of a secret is printed, and settings errors repeat none of what could be one."""

from __future__ import annotations

import base64
import contextlib
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest

from bot.__main__ import main
from bot.errors import SettingsInvalid, StoreUnusable
from bot.redaction import Redaction, name_shown, quoted, redact, strictly
from bot.settings import load_settings

TOKEN = "MTIzNDU2Nzg5MDEyMzQ1Njc4.GabcdE.abcdefghijklmnopqrstuvwxyz0123456789AB"
OTHER_TOKEN = "OTk5OTk5OTk5OTk5OTk5OTk5OQ.Yz-_12.AbCdEfGhIjKlMnOpQrStUvWxYz-012345_6789"
FAL_ID, FAL_SECRET = "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0", "0123456789abcdef0123456789abcdef"
FAL_KEY = f"{FAL_ID}:{FAL_SECRET}"
TOKEN_HEAD, _, TOKEN_TAIL = TOKEN.split(".")
OPENAI = "sk-proj-0123456789abcdefghij_-KLMN"

SECRETS = (TOKEN, OTHER_TOKEN, FAL_KEY, FAL_SECRET, OPENAI)


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize(
    "line",
    [
        lambda secret: f"seen: {secret}.",
        lambda secret: f"'{secret}'",
        lambda secret: f"name_{secret}",
        lambda secret: f"https://host.test/a?x=1&value={quote(secret, safe='')}",
        lambda secret: f"https%3A%2F%2Fhost.test%2F%3Fvalue%3D{quote(quote(secret, safe=''), safe='')}",
        lambda secret: "".join(f"%{byte:02x}" for byte in f"a {secret}".encode()),
    ],
    ids=["in words", "in quotes", "in a name", "in a query", "encoded twice", "encoded wholly"],
)
def test_a_secret_is_known_by_its_shape_however_it_is_written(line: Callable[[str], str], secret: str) -> None:
    shown = redact(line(secret))

    assert secret not in shown
    assert quote(secret, safe="") not in shown
    assert "[removed]" in shown


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("https://ada:hunter2@host.test/x", "hunter2"),
        ("https://hunter2@host.test/x", "hunter2"),
        ("postgresql+asyncpg://ada:p/w@rd!@db:5432/easel", "w@rd"),
        ("redis://:hunter2@host", "hunter2"),
        ("https://host.test/?password=hunter2", "hunter2"),
        ("https://host.test/?a=1&Access_Token=hunter2&b=2", "hunter2"),
        ("https://host.test/?api-key=hunter2", "hunter2"),
        ("https://host.test/#token=hunter2", "hunter2"),
        ("https://host.test/%3Fpassword%3Dhunter2", "hunter2"),
        ("https%3A%2F%2Fada%3Ahunter2%40host.test", "hunter2"),
        ("https%253A%252F%252Fada%253Ahunter2%2540host.test", "hunter2"),
        ("host=db user=ada password=hunter2", "hunter2"),
        ('FAL_KEY="hunter2"', "hunter2"),
        ('{"password": "hunter2"}', "hunter2"),
        ("Authorization: Basic aHVudGVyMjpodW50ZXIy", "aHVudGVyMjpodW50ZXIy"),
        ("Basic aHVudGVyMjpodW50ZXIy", "aHVudGVyMjpodW50ZXIy"),
        ("bearer AbC123xyz789", "AbC123xyz789"),
        (f"{TOKEN.rpartition('.')[0]} and then", TOKEN_HEAD),
        (f"cut: {TOKEN.partition('.')[2]}", TOKEN_TAIL),
    ],
)
def test_a_credential_in_an_address_or_a_line_is_removed(text: str, secret: str) -> None:
    assert secret not in redact(text)


@pytest.mark.parametrize(
    "text",
    [
        "job finished job=k3x9 took_s=3.250 request=0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0",
        "https://fal.media/files/lion/a_b-c.png?width=512",
        "http://127.0.0.1:8765/attachments/1/2/a%20cat.png",
        "GET https://discord.com:443/api/v10/channels/1/messages/@me",
        "EASEL_FAL__MAX_IN_FLIGHT in the environment: it can't be 'many'. It takes a whole number.",
        "bot.jobs.submitter.Submitter.submit, cogs.delivery_routes.original_response_message",
        "It takes the token or key alone, without spaces",
        "a basic authentication, 100 %, 50%25",
        "gpt-image-1, sk-2 and task-runner-0123456789abcdef",
    ],
)
def test_what_is_no_secret_stays_as_it_is(text: str) -> None:
    assert redact(text) == text


def test_known_secrets_go_whole_in_halves_and_in_every_encoding() -> None:
    secret = 'correct+horse:battery/staple\\and"more'
    redaction = Redaction([secret])

    for form in (
        secret,
        "correct+horse",
        "battery/staple",
        quote(secret, safe=""),
        secret.replace("\\", "\\\\").replace('"', '\\"'),
        base64.b64encode(secret.encode()).decode(),
    ):
        assert redaction(f"<{form}>").strip("<>=") == "[removed]" or "horse" not in redaction(form)


@pytest.mark.parametrize("secret", [*SECRETS, FAL_ID, TOKEN_HEAD, TOKEN_TAIL, "a" * 41])
def test_a_value_that_could_be_a_secret_or_a_part_of_one_is_not_quoted(secret: str) -> None:
    assert quoted(secret) == "this value"


#: Each repeated until it is long. They begin like secrets, or almost are some.
REPEATED = (
    "a", "A1", "a.", "://", "://a:", "://a:@", "a@", "bearer ", "basic a", "bearer\t", " ", "authorization=\"",
    "?token", "?token&", "&key.",
    "token", "key_", "password", "a_api_key_", "\"", "\\", "%", "%2", "%41", "%2525", "M-", "-Ma1",
    "abcdef." + "a" * 20, "-", "sk-", "/webhooks/1", "0123456789abcdef", FAL_ID, "aW50ZXJhY3Rpb246", "é", "a%2Fb ",
)  # fmt: skip
#: In front of a long run of one of these.
STARTS = (
    "",
    "://",
    "://a:",
    "bearer ",
    "Authorization: ",
    "?",
    "?token=",
    "password=",
    "password",
    "/webhooks/1/",
    "%41 ",
)


@pytest.mark.parametrize("cleaned", [redact, strictly, name_shown, quoted, Redaction([TOKEN, FAL_KEY])])
def test_a_long_line_takes_no_longer_for_its_length_than_a_short_one(cleaned: Callable[[str], str]) -> None:
    for start in STARTS:
        for repeated in REPEATED:
            line = start + repeated * (20_000 // len(repeated))
            began_s = time.process_time()
            cleaned(line)
            # Some milliseconds; every pattern that looks twice at each pair of characters takes a second and more.
            assert time.process_time() - began_s < 0.25, (start, repeated)


@pytest.mark.parametrize(
    "before", ["://" * 5000, "@" + "a:" * 5000, "M-" * 5000, "%41" * 5000 + " ", "key" * 5000 + " "]
)
def test_a_secret_behind_much_else_is_still_found(before: str) -> None:
    assert "hunter2" not in redact(f"{before} https://ada:hunter2@host.test/?password=hunter2")
    assert FAL_SECRET not in redact(f"{before} {FAL_KEY}")
    assert TOKEN_TAIL not in redact(f"{before}{quote(' ' + TOKEN)}")


# ---------------------------------------------------------------------- settings


def refusal(cwd: Path, **environ: str) -> str:
    with pytest.raises(SettingsInvalid) as caught:
        load_settings(environ=environ, cwd=cwd)
    return caught.value.sentence


PLACES: list[Callable[[str], dict[str, str]]] = [
    lambda secret: {"EASEL_FAL": f'{{"key": "{secret}",}}'},
    lambda secret: {"EASEL_DISCORD": f"{{token: {secret}}}"},
    lambda secret: {"EASEL_DISCORD": secret},
    lambda secret: {"EASEL_WEB": f'{{"port": "{secret}"}}'},
    lambda secret: {"EASEL_WEB__PORT": secret},
    lambda secret: {"EASEL_LOG__LEVEL": secret},
    lambda secret: {"EASEL_LIMITS__ENABLED": secret},
    lambda secret: {"EASEL_LIMITS__TIERS": f'{{"{secret}": {{"weight": 3}}}}'},
    lambda secret: {"EASEL_LIMITS__TIERS": f'{{"1": "{secret}"}}'},
    lambda secret: {"EASEL_WEB__PUBLIC_URL": f"https://ada:{secret}@host.test"},
    lambda secret: {"EASEL_WEB__PUBLIC_URL": f"https://host.test/?password={secret}"},
    lambda secret: {"EASEL_WEB__PUBLIC_URL": secret},
    lambda secret: {"EASEL_DATABASE_URL": secret, "EASEL_WEB__PORT": "x"},
    lambda secret: {"EASEL_DISCORD__API_URL": f"ftp://{secret}@host"},
    lambda secret: {"EASEL_FAL__QUEUE_URL": secret},
    lambda secret: {"EASEL_FAL__KEY": f"{secret} {secret}"},
    lambda secret: {"EASEL_FAL__SECRET": secret},
    lambda secret: {"EASEL_" + secret: "1"},
    lambda secret: {"EASEL_FAL__" + secret: "1"},
    lambda secret: {
        "EASEL_CONFIG": "nothing" if "unter2" in secret else secret
    },  # a path is shown, unless it has a secret's shape
    lambda secret: {"EASEL_SECRETS_DIR": secret},
    lambda secret: {"EASEL_MODELS__PRICES_USD": f'{{"a": "{secret}"}}'},
    lambda secret: {"EASEL_LIMITS__TIERS__" + secret: "1"},
    lambda secret: {"EASEL_DATABASE_URL": f"mysql://ada:{quote(secret, safe='')}@db", "EASEL_WEB__PORT": "x"},
    lambda secret: {"DISCORD_TOKEN": f"Bot {secret}"},
    lambda secret: {"EASEL_FAL__MAX_IN_FLIGHT": "".join(f"%{byte:02X}" for byte in secret.encode())},
    lambda secret: {"EASEL_FAL__CDN_URL": f"//{secret}@host"},
    lambda secret: {"EASEL_LIMITS": f'["{secret}"]'},
]


@pytest.mark.parametrize("place", PLACES, ids=range(len(PLACES)))
@pytest.mark.parametrize("secret", [*SECRETS, "hunter2-hunter2-hunter2", "Hunter2-Pass!word"])
def test_a_secret_in_a_wrong_variable_is_not_repeated(
    tmp_path: Path, place: Callable[[str], dict[str, str]], secret: str
) -> None:
    sentence = refusal(tmp_path, **place(secret))

    assert secret.lower() not in sentence.lower()
    for part in secret.replace(":", ".").split("."):
        assert len(part) < 12 or part.lower() not in sentence.lower()


@pytest.mark.parametrize(
    "toml",
    [
        '["{secret}"]\nkey = 1\n',
        '"{secret}" = 1\n',
        '[fal."{secret}"]\nx = 1\n',
        '[fal]\n"{secret}" = 1\n',
        '[fal]\n"{secret}" = ""\n',
        '[web]\nport = "{secret}"\n',
        '[limits.tiers]\n"{secret}" = 1\n',
        'fal = "{secret}"\n',
        'fal = ["{secret}"]\n',
        '[models]\ndisabled = {{a = "{secret}"}}\n',
        '[models]\ndefault = ["{secret}"]\n',
        '["{secret}"]\n["{secret}"]\n',
        '[fal]\nkey = "{secret}\n',
        "[fal]\nkey = {secret}\n",
    ],
)
@pytest.mark.parametrize("secret", SECRETS)
def test_a_secret_in_a_wrong_place_of_config_toml_is_not_repeated(tmp_path: Path, toml: str, secret: str) -> None:
    (tmp_path / "config.toml").write_text(toml.format(secret=secret))

    sentence = refusal(tmp_path)

    for part in secret.replace(":", ".").split("."):
        assert len(part) < 12 or part not in sentence


@pytest.mark.parametrize("arguments", [["sandbox", "--port", TOKEN], [TOKEN], ["check", "--health", f"http://{TOKEN}"]])
def test_a_secret_typed_as_an_argument_is_not_repeated(
    arguments: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with contextlib.suppress(SystemExit):
        main(arguments)

    printed = capsys.readouterr()
    assert TOKEN_TAIL not in printed.out + printed.err


def test_every_sentence_for_the_operator_passes_through_redaction() -> None:
    assert StoreUnusable(f"no such file: {FAL_KEY}").sentence == "no such file: [removed]"
    assert FAL_SECRET not in str(StoreUnusable(f"no such file: {FAL_KEY}"))

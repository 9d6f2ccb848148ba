from __future__ import annotations

import re
import tomllib
from decimal import Decimal
from pathlib import Path

import pytest

from bot.errors import SettingsInvalid, TokenMissing
from bot.settings import BudgetSettings, Settings, documented, example_toml, load_settings, mode

TOKEN = "MTIzNDU2Nzg5MDEyMzQ1Njc4.GabcdE.abcdefghijklmnopqrstuvwxyz0123456789AB"


def load(cwd: Path, **environ: str) -> Settings:
    return load_settings(environ=environ, cwd=cwd)


def refusal(cwd: Path, **environ: str) -> str:
    with pytest.raises(SettingsInvalid) as caught:
        load(cwd, **environ)
    return caught.value.sentence


# ---------------------------------------------------------------------- sources


def test_without_any_source_everything_has_its_default(tmp_path: Path) -> None:
    assert load(tmp_path) == Settings()


def test_the_usual_names_of_the_secrets_are_understood(tmp_path: Path) -> None:
    settings = load(tmp_path, DISCORD_TOKEN=TOKEN, FAL_KEY="id:secret", OPENAI_API_KEY="sk-1")

    assert settings.discord.token is not None
    assert settings.discord.token.get_secret_value() == TOKEN
    assert settings.fal.key is not None
    assert settings.fal.key.get_secret_value() == "id:secret"
    assert settings.fal.openai_api_key is not None
    assert settings.fal.openai_api_key.get_secret_value() == "sk-1"


def test_secrets_do_not_show_when_settings_are_printed(tmp_path: Path) -> None:
    assert TOKEN not in repr(load(tmp_path, DISCORD_TOKEN=TOKEN))


def test_a_variable_reaches_a_nested_setting_in_any_case(tmp_path: Path) -> None:
    settings = load(tmp_path, EASEL_LIMITS__ENABLED="false", easel_fal__max_in_flight="0")

    assert settings.limits.enabled is False
    assert settings.fal.max_in_flight == 0


def test_lists_take_commas_or_json(tmp_path: Path) -> None:
    assert load(tmp_path, EASEL_MODELS__DISABLED="imagen4, f-lite").models.disabled == ("imagen4", "f-lite")
    assert load(tmp_path, EASEL_MODELS__DISABLED='["imagen4"]').models.disabled == ("imagen4",)


def test_a_table_may_come_as_json_and_part_by_part(tmp_path: Path) -> None:
    settings = load(tmp_path, EASEL_LIMITS__TIERS='{"1": {"weight": 2}}', EASEL_LIMITS__TIERS__2__IMAGES_PER_DAY="400")

    assert settings.limits.tiers["1"].weight == 2
    assert settings.limits.tiers["2"].images_per_day == 400


def test_config_toml_is_read_where_the_bot_is_started(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text('[limits.tiers.42]\nweight = 3\n[models]\ndefault = "qwen-image"\n')

    settings = load(tmp_path)

    assert settings.limits.tiers["42"].weight == 3
    assert settings.models.default == "qwen-image"


def test_easel_config_names_another_file(tmp_path: Path) -> None:
    (tmp_path / "other.toml").write_text('database_url = "sqlite:///elsewhere.db"')

    assert load(tmp_path, EASEL_CONFIG="other.toml").database_url == "sqlite:///elsewhere.db"
    (tmp_path / ".env").write_text("EASEL_CONFIG=other.toml\n")
    assert load(tmp_path).database_url == "sqlite:///elsewhere.db"


def test_the_environment_beats_dotenv_beats_secret_files_beats_config_toml(tmp_path: Path) -> None:
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    (tmp_path / "config.toml").write_text('[fal]\nkey = "from-toml"\n[log]\nlevel = "ERROR"\n')
    assert _key(load(tmp_path)) == "from-toml"

    (secrets / "fal_key").write_text("from-a-file\n")
    (secrets / "somebody_elses_secret").write_text("x")
    assert _key(load(tmp_path, EASEL_SECRETS_DIR="secrets")) == "from-a-file"

    (tmp_path / ".env").write_text("FAL_KEY='from-dotenv'\nEASEL_LOG__LEVEL=WARNING\n")
    assert _key(load(tmp_path, EASEL_SECRETS_DIR="secrets")) == "from-dotenv"

    settings = load(tmp_path, EASEL_SECRETS_DIR="secrets", FAL_KEY="from-the-environment")
    assert _key(settings) == "from-the-environment"
    assert settings.log.level == "WARNING"


def test_an_empty_value_counts_as_not_set(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text('[fal]\nkey = "from-toml"\nqueue_url = ""\n')

    settings = load(tmp_path, FAL_KEY=" ", DISCORD_TOKEN="")

    assert _key(settings) == "from-toml"
    assert settings.discord.token is None
    assert settings.fal.queue_url is None


def test_a_file_saved_by_notepad_is_read(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("[limits]\nenabled = false\n", "utf-8-sig")

    assert load(tmp_path).limits.enabled is False


def test_dotenv_expands_nothing(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("EASEL_DATABASE_URL=postgresql://easel:a${HOME}b@host/easel\n")

    assert load(tmp_path).database_url == "postgresql://easel:a${HOME}b@host/easel"


def test_the_long_name_of_a_secret_wins_over_its_usual_one_in_the_same_source(tmp_path: Path) -> None:
    assert _key(load(tmp_path, FAL_KEY="usual", EASEL_FAL__KEY="long")) == "long"

    (tmp_path / ".env").write_text("EASEL_FAL__KEY=long\n")
    assert _key(load(tmp_path, FAL_KEY="usual")) == "usual"


def test_other_files_among_the_secrets_are_not_opened(tmp_path: Path) -> None:
    (tmp_path / "keystore.p12").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "EASEL_FAL__MAX_IN_FLIGHT").write_text("3\n")

    assert load(tmp_path, EASEL_SECRETS_DIR=".").fal.max_in_flight == 3


def test_settings_made_by_code_do_not_look_around(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EASEL_LIMITS__ENABLED", "false")

    assert Settings().limits.enabled is True


def test_variables_that_docker_and_kubernetes_invent_are_left_alone(tmp_path: Path) -> None:
    load(tmp_path, EASEL_SERVICE_HOST="10.0.0.1", EASEL_PORT="tcp://10.0.0.1:80", EASEL_PORT_80_TCP="tcp://10.0.0.1:80")


def _key(settings: Settings) -> str | None:
    return settings.fal.key.get_secret_value() if settings.fal.key else None


# ---------------------------------------------------------------------- refusals


def test_a_typo_in_config_toml_is_named_with_the_file_and_the_right_key(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("[limits]\nenabeld = false\n")

    sentence = refusal(tmp_path)

    assert "config.toml" in sentence
    assert "`limits.enabeld`" in sentence
    assert "`limits.enabled`" in sentence


def test_a_key_in_the_wrong_section_is_sent_to_the_right_one(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("images_per_day = 3\n")

    assert "`limits.default.images_per_day`" in refusal(tmp_path)


@pytest.mark.parametrize(
    ("variable", "meant"),
    [
        ("EASEL_LIMITS__ENABELD", "EASEL_LIMITS__ENABLED"),
        ("EASEL_FAL_MAX_IN_FLIGHT", "EASEL_FAL__MAX_IN_FLIGHT"),
        ("EASEL_DATABASE", "EASEL_DATABASE_URL"),
    ],
)
def test_an_unknown_variable_is_named_with_the_right_one(tmp_path: Path, variable: str, meant: str) -> None:
    sentence = refusal(tmp_path, **{variable: "1"})

    assert f"{variable} in the environment" in sentence
    assert f"`{meant}`" in sentence


def test_a_wrong_value_is_named_with_its_place_and_what_is_allowed(tmp_path: Path) -> None:
    sentence = refusal(tmp_path, EASEL_FAL__MAX_IN_FLIGHT="many")

    assert sentence == "EASEL_FAL__MAX_IN_FLIGHT in the environment: it can't be 'many'. It takes a whole number."


@pytest.mark.parametrize(
    ("toml", "allowed"),
    [
        ("[limits]\nenabled = 'perhaps'", "true or false"),
        ("[log]\nlevel = 'LOUD'", "'DEBUG', 'INFO', 'WARNING' or 'ERROR'"),
        ("[fal]\nmax_in_flight = -1", "at least 0"),
        ("[web]\nport = 99999", "at most 65535"),
        ("[discord]\napi_url = 'discord.com'", "starts with https://"),
        ("[discord]\ngateway_url = 'https://gateway.discord.gg'", "starts with wss://"),
        ("[models]\nprices_usd = {qwen-image = 'cheap'}", "a number"),
        ("limits = 3", "a table"),
        ("database_url = 3", "text in quotes"),
    ],
)
def test_each_kind_of_wrong_value_says_what_is_allowed(tmp_path: Path, toml: str, allowed: str) -> None:
    (tmp_path / "config.toml").write_text(toml)

    assert allowed in refusal(tmp_path)


def test_several_mistakes_are_told_at_once(tmp_path: Path) -> None:
    sentence = refusal(tmp_path, EASEL_LIMITS__ENABLED="perhaps", EASEL_WEB__PORT="http")

    assert len(sentence.splitlines()) == 2


def test_mistakes_in_all_sources_are_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("[web]\nprot = 8080\n")
    (tmp_path / ".env").write_text('EASEL_LOGS=3\nEASEL_LIMITS={"enabeld": false}\n')
    (tmp_path / "EASEL_WEB__PORT").write_text("0")

    lines = refusal(tmp_path, EASEL_DATABASE="x", EASEL_SECRETS_DIR=".").splitlines()

    assert sorted(line.partition(":")[0] for line in lines) == [
        "EASEL_DATABASE in the environment",
        "EASEL_LIMITS in .env",
        "EASEL_LOGS in .env",
        "EASEL_WEB__PORT in the secrets folder",
        f"`web.prot` in {tmp_path / 'config.toml'}",
    ]
    assert "Did you mean `limits.enabled`?" in "\n".join(lines)


@pytest.mark.parametrize(
    ("variable", "allowed"),
    [("EASEL_LIMITS", "a table"), ("EASEL_LIMITS__TIERS__1", "a table"), ("EASEL_MODELS__PRICES_USD", "a table")],
)
def test_a_table_that_is_no_json_is_refused_by_the_name_of_its_variable(
    tmp_path: Path, variable: str, allowed: str
) -> None:
    sentence = refusal(tmp_path, **{variable: "{oops"})

    assert sentence == f"{variable} in the environment: it can't be this value. It takes {allowed}."


@pytest.mark.parametrize("key", ["patron", "1 2", "042", "٤٢", "-1"])
def test_a_tier_for_what_is_no_role_id_is_refused_by_name(tmp_path: Path, key: str) -> None:
    (tmp_path / "config.toml").write_text(f'[limits.tiers."{key}"]\nweight = 3\n')
    start = (
        f"`limits.tiers.{key}` in {tmp_path / 'config.toml'}: it can't be '{key}'. It takes the id of a Discord role"
    )

    assert refusal(tmp_path).startswith(start)
    (tmp_path / "config.toml").unlink()
    assert f"can't be '{key}'" in refusal(tmp_path, EASEL_LIMITS__TIERS=f'{{"{key}": {{"weight": 3}}}}')


def test_a_folder_in_the_place_of_config_toml_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.toml").mkdir()  # as Docker makes for a mount without a file

    assert "config.toml can't be read" in refusal(tmp_path)


def test_a_wrong_secret_is_not_repeated(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("[fal]\nkey = 123456789\n")

    sentence = refusal(tmp_path)

    assert "fal.key" in sentence
    assert "123456789" not in sentence


@pytest.mark.parametrize("token", ["Bot abc", "abc\ndef", "abcü", "abc\x07"])
def test_a_secret_that_no_header_can_hold_is_refused_unseen(tmp_path: Path, token: str) -> None:
    sentence = refusal(tmp_path, DISCORD_TOKEN=token, FAL_KEY="k")

    assert sentence.startswith("DISCORD_TOKEN in the environment: ")
    assert "abc" not in sentence


def test_broken_toml_is_named_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("[limits]\nenabled = yes\n")

    assert "line 2" in refusal(tmp_path)


def test_a_missing_easel_config_is_refused(tmp_path: Path) -> None:
    assert "no such file" in refusal(tmp_path, EASEL_CONFIG="gone.toml")


def test_files_that_are_no_text_are_refused(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_bytes(b"\xff\xfe\x00")
    assert "not UTF-8" in refusal(tmp_path)
    assert "can't be read" in refusal(tmp_path, EASEL_CONFIG=str(tmp_path))


def test_a_missing_secrets_folder_is_refused(tmp_path: Path) -> None:
    assert "no folder" in refusal(tmp_path, EASEL_SECRETS_DIR="gone")


# ---------------------------------------------------------------------- money and access


@pytest.mark.parametrize(
    ("given", "allowed"),
    [
        ("two dollars", "It takes a number."),
        ("-1", "at least 0"),
        ("-0.01", "at least 0"),
        ("NaN", "a finite number"),
        ("inf", "a finite number"),
        ("-Infinity", "a finite number"),
        ("1e9", "at most 1000000"),
        ("1000000.01", "at most 1000000"),
        ("$5", "It takes a number."),
        ("5,00", "It takes a number."),
        ("0.0000001", "at most 6 digits after its point"),  # would round to 0, which lifts the bound
        ("1e-9", "at most 6 digits after its point"),
    ],
)
def test_a_budget_that_is_no_sum_of_money_is_refused_with_a_sentence(tmp_path: Path, given: str, allowed: str) -> None:
    for name in BudgetSettings.model_fields:
        sentence = refusal(tmp_path, **{f"EASEL_BUDGET__{name.upper()}": given})

        assert sentence.startswith(f"EASEL_BUDGET__{name.upper()} in the environment: it can't be '{given}'")
        assert allowed in sentence
    for variable in ("EASEL_LIMITS__DEFAULT__USD_PER_DAY", "EASEL_LIMITS__SERVERS__7__USD_PER_MONTH"):
        assert allowed in refusal(tmp_path, **{variable: given})


@pytest.mark.parametrize("toml", ["'lots'", "-1", "nan", "inf", "1e9", "true", "[1]"])
def test_config_toml_refuses_the_same(tmp_path: Path, toml: str) -> None:
    (tmp_path / "config.toml").write_text(f"[budget]\nall_usd_per_day = {toml}\n")

    assert "`budget.all_usd_per_day` in" in refusal(tmp_path)


def test_budgets_are_exact_decimals(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("[budget]\nall_usd_per_day = 0.1\nserver_usd_per_day = 0\n")

    budget = load(tmp_path, EASEL_BUDGET__PERSON_USD_PER_DAY="0.3").budget

    assert (budget.all_usd_per_day, budget.person_usd_per_day) == (Decimal("0.1"), Decimal("0.3"))
    assert budget.server_usd_per_day == 0
    assert budget.all_usd_per_month == 250


@pytest.mark.parametrize(
    ("given", "ids"),
    [
        ("any", "any"),
        (" Any ", "any"),
        ("123456789012345678", (123456789012345678,)),
        ("1, 2,1", (1, 2)),
        ("[1, 2]", (1, 2)),
        ('["1", "2"]', (1, 2)),
        ("[]", ()),
    ],
)
def test_access_takes_any_or_ids_as_json_or_with_commas(tmp_path: Path, given: str, ids: object) -> None:
    access = load(tmp_path, EASEL_ACCESS__SERVERS=given, EASEL_ACCESS__PEOPLE=given).access

    assert (access.servers, access.people) == (ids, ids)


def test_access_in_config_toml_takes_numbers_and_text(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(
        '[access]\nservers = [123456789012345678, "2"]\npeople = "any"\nblocked_people = [5]\n'
        '[operator]\npeople = [6, 7]\nalerts_channel = "8"\n'
    )

    settings = load(tmp_path)

    assert settings.access.servers == (123456789012345678, 2)
    assert (settings.access.people, settings.access.blocked_people) == ("any", (5,))
    assert settings.operator.people == (6, 7)
    assert settings.operator.alerts_channel == 8
    assert load(tmp_path, EASEL_OPERATOR__ALERTS_CHANNEL="9").operator.alerts_channel == 9


@pytest.mark.parametrize(
    "given", ["everybody", "1, any", "-1", "1.5", "0", "01", "99999999999999999999", "[true]", "@x"]
)
def test_what_is_no_id_is_refused_with_how_to_get_one(tmp_path: Path, given: str) -> None:
    for name in ("ACCESS__SERVERS", "ACCESS__BLOCKED_SERVERS", "ACCESS__PEOPLE", "OPERATOR__PEOPLE"):
        sentence = refusal(tmp_path, **{f"EASEL_{name}": given})
        assert sentence.startswith(f"EASEL_{name} in the environment: it can't be this value. It takes ")
        assert "Developer Mode" in sentence
    assert "any" not in refusal(tmp_path, EASEL_OPERATOR__PEOPLE=given).partition("It takes")[2]
    assert "Copy Channel ID" in refusal(tmp_path, EASEL_OPERATOR__ALERTS_CHANNEL=given)


def test_only_lists_of_who_may_use_it_know_any(tmp_path: Path) -> None:
    assert "ids of Discord users" in refusal(tmp_path, EASEL_ACCESS__BLOCKED_PEOPLE="any")


def test_a_server_is_named_by_its_id(tmp_path: Path) -> None:
    assert "the id of a Discord server" in refusal(tmp_path, EASEL_LIMITS__SERVERS__MINE__USD_PER_DAY="1")


# ---------------------------------------------------------------------- live or sandbox


def test_both_secrets_mean_live_and_none_means_sandbox(tmp_path: Path) -> None:
    assert mode(load(tmp_path, DISCORD_TOKEN=TOKEN, FAL_KEY="k")) == "live"
    assert mode(load(tmp_path)) == "sandbox"


@pytest.mark.parametrize(("given", "missing"), [("DISCORD_TOKEN", "FAL_KEY"), ("FAL_KEY", "DISCORD_TOKEN")])
def test_one_of_two_secrets_is_refused_and_the_other_named(tmp_path: Path, given: str, missing: str) -> None:
    with pytest.raises(TokenMissing, match=f"{given} is set but {missing} is missing"):
        mode(load(tmp_path, **{given: "x"}))


# ---------------------------------------------------------------------- documentation


def test_the_example_as_it_is_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(example_toml())

    assert load(tmp_path) == Settings()


def test_the_example_with_every_line_uncommented_still_holds_the_defaults(tmp_path: Path) -> None:
    text = re.sub(
        r"^# (\w+ = )", r"\1", example_toml().partition("\n# What you allow one server")[0], flags=re.MULTILINE
    )
    (tmp_path / "config.toml").write_text(text)

    assert (
        len(list(_keys(tomllib.loads(text)))) == len(list(documented())) - 2
    )  # all but the tiers and servers by their ids
    assert load(tmp_path) == Settings()


def test_the_server_and_the_tier_in_the_example_work_when_uncommented(tmp_path: Path) -> None:
    by_id = "\n# What you allow one server" + example_toml().partition("\n# What you allow one server")[2]
    uncommented = re.sub(r"^# (\w+ = |\[)", r"\1", by_id, flags=re.MULTILINE)
    (tmp_path / "config.toml").write_text(uncommented)

    limits = load(tmp_path).limits
    assert (len(limits.servers), len(limits.tiers)) == (1, 1)
    assert all(value is not None for server in limits.servers.values() for value in server.model_dump().values())


def test_every_setting_is_described(tmp_path: Path) -> None:
    assert [setting.path for setting in documented() if not setting.description] == []


def test_every_documented_variable_is_understood(tmp_path: Path) -> None:
    for setting in documented():
        if setting.default not in ("", "{}", "[]"):
            load(tmp_path, **{setting.variable: setting.default.strip('"')})


def _keys(table: dict[str, object]) -> list[str]:
    found = []
    for key, value in table.items():
        found += _keys(value) if isinstance(value, dict) and value else [key]
    return found

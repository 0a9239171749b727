"""Settings: what is read, what is refused, and that no secret is shown."""

from __future__ import annotations

import os
from dataclasses import asdict, replace
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from consumer.adapters.postgres.pruning import Keeping
from consumer.adapters.vault import Vault
from consumer.config import load, load_keeping, settings_table, unknown
from consumer.domain.clocks import Clocks
from consumer.domain.errors import Halt

KEY = Fernet.generate_key().decode()
OTHER_KEY = Fernet.generate_key().decode()
SECRET = "hunter2-do-not-show"  # what no message may contain


@pytest.fixture(autouse=True)
def required(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.upper().startswith("LAGO_XERO_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("LAGO_XERO_KAFKA_BOOTSTRAP_SERVERS", "kafka:9092")
    monkeypatch.setenv("LAGO_XERO_DATABASE_URL", "postgresql://u:p@host/db")
    monkeypatch.setenv("LAGO_XERO_ENCRYPTION_KEYS", KEY)


def refusal() -> list[str]:
    with pytest.raises(Halt) as caught:
        load()
    assert caught.value.code == "settings"
    return caught.value.sentence.split("\n")


def test_defaults_are_the_documented_ones() -> None:
    settings = load()
    assert settings.kafka_topics == ("lago.webhooks",)
    assert settings.dead_letter_topic == "lago.xero.dlq"
    assert settings.webhook_url is None
    assert settings.clocks() == Clocks()


def test_how_long_things_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load().keeping() == Keeping()
    assert load().prune
    for name in ("KAFKA_BOOTSTRAP_SERVERS", "ENCRYPTION_KEYS"):
        monkeypatch.delenv(f"LAGO_XERO_{name}")
    monkeypatch.setenv("LAGO_XERO_KEEP_MESSAGES", "7")
    assert load_keeping().keeping() == replace(Keeping(), messages=timedelta(days=7))


@pytest.mark.parametrize(
    ("name", "days"),
    [("REQUESTS", "1"), ("EVENTS", "364"), ("MESSAGES", "0"), ("FINDINGS", "40000")],
)
def test_what_would_be_kept_too_short_is_refused(
    monkeypatch: pytest.MonkeyPatch, name: str, days: str
) -> None:
    monkeypatch.setenv(f"LAGO_XERO_KEEP_{name}", days)
    [sentence] = refusal()
    assert sentence.startswith(f"LAGO_XERO_KEEP_{name} should be")


def test_topics_are_split(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAGO_XERO_KAFKA_TOPICS", "a, b,")
    assert load().kafka_topics == ("a", "b")


def test_an_empty_variable_is_not_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAGO_XERO_WEBHOOK_URL", "")
    assert load().webhook_url is None


def test_one_scale_stretches_all_clocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAGO_XERO_TIME_SCALE", "0.5")
    monkeypatch.setenv("LAGO_XERO_HOME_WAIT", "100")
    clocks = asdict(load().clocks())
    assert clocks.pop("home_wait") == 50
    assert clocks == {n: s / 2 for n, s in asdict(Clocks()).items() if n != "home_wait"}


def test_secrets_come_from_files_too(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text(f"{KEY},{OTHER_KEY}\n")
    monkeypatch.delenv("LAGO_XERO_ENCRYPTION_KEYS")
    monkeypatch.setenv("LAGO_XERO_ENCRYPTION_KEYS_FILE", str(file))
    settings = load()
    assert settings.encryption_keys.get_secret_value() == f"{KEY},{OTHER_KEY}"
    assert settings.vault().decrypt(Fernet(OTHER_KEY).encrypt(b"x")) == b"x"


def test_a_secret_given_twice_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text(SECRET)
    monkeypatch.setenv("LAGO_XERO_WEBHOOK_SECRET", SECRET)
    monkeypatch.setenv("LAGO_XERO_WEBHOOK_SECRET_FILE", str(file))
    assert refusal() == [
        "LAGO_XERO_WEBHOOK_SECRET and LAGO_XERO_WEBHOOK_SECRET_FILE are both given: keep one."
    ]


def test_a_secret_file_that_is_not_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("LAGO_XERO_DATABASE_URL")
    monkeypatch.setenv("LAGO_XERO_DATABASE_URL_FILE", str(tmp_path / "absent"))
    assert refusal() == [
        f"LAGO_XERO_DATABASE_URL_FILE names {tmp_path}/absent, which cannot be read: "
        "No such file or directory."
    ]


def test_every_mistake_is_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LAGO_XERO_KAFKA_BOOTSTRAP_SERVERS")
    monkeypatch.setenv("LAGO_XERO_HTTP_PORT", "70000")
    monkeypatch.setenv("LAGO_XERO_LOG_FORMAT", "xml")
    assert refusal() == [
        "LAGO_XERO_KAFKA_BOOTSTRAP_SERVERS is missing.",
        "LAGO_XERO_HTTP_PORT should be less than or equal to 65535.",
        "LAGO_XERO_LOG_FORMAT should be 'json' or 'console'.",
    ]


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"KAFKA_TOPICS": "a,lago.xero.dlq"}, "KAFKA_TOPICS names our own dead-letter topic"),
        ({"KAFKA_SECURITY_PROTOCOL": "SASL_SSL"}, "KAFKA_SASL_PASSWORD are needed"),
        ({"KAFKA_SSL_KEY_FILE": "/k"}, "KAFKA_SSL_KEY_FILE is of no use"),
        ({"WEBHOOK_URL": "https://example.test/"}, "WEBHOOK_SECRET is missing"),
        ({"CALL_TIMEOUT": "99"}, "RESEND_AFTER must leave room"),
        ({"RESEND_UNTIL": "360"}, "RESEND_UNTIL and LAGO_XERO_KEY_LIFE must follow"),
        ({"ENCRYPTION_KEYS": f"{SECRET},{KEY}"}, "ENCRYPTION_KEYS must be one or more Fernet"),
        ({"ENCRYPTION_KEYS": ","}, "ENCRYPTION_KEYS must be one or more Fernet"),
        ({"TIME_SCALE": "0"}, "TIME_SCALE should be greater than 0"),
        ({"TIME_SCALE": "inf"}, "TIME_SCALE should be a finite number"),
    ],
)
def test_contradictions(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], said: str
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(f"LAGO_XERO_{name}", value)
    [sentence] = refusal()
    assert said in sentence
    assert SECRET not in sentence


def test_secrets_are_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAGO_XERO_DATABASE_URL", f"postgresql://u:{SECRET}@host/db")
    monkeypatch.setenv("LAGO_XERO_KAFKA_SASL_PASSWORD", SECRET)
    settings = load()
    assert SECRET not in repr(settings)
    assert SECRET not in repr(settings.cluster())
    assert settings.cluster().password == SECRET


def test_sasl_becomes_keyword_values(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAGO_XERO_KAFKA_BOOTSTRAP_SERVERS", "a:1, b:2")
    monkeypatch.setenv("LAGO_XERO_KAFKA_SECURITY_PROTOCOL", "SASL_SSL")
    monkeypatch.setenv("LAGO_XERO_KAFKA_SASL_MECHANISM", "SCRAM-SHA-512")
    monkeypatch.setenv("LAGO_XERO_KAFKA_SASL_USERNAME", "us")
    monkeypatch.setenv("LAGO_XERO_KAFKA_SASL_PASSWORD", "pw")
    options = load().cluster().options()
    context = options.pop("ssl_context")
    assert context.check_hostname
    assert options == {
        "bootstrap_servers": ["a:1", "b:2"],
        "client_id": "lago-xero",
        "security_protocol": "SASL_SSL",
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_plain_username": "us",
        "sasl_plain_password": "pw",
    }


def test_a_database_url_of_another_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAGO_XERO_DATABASE_URL", f"mysql://u:{SECRET}@host/db")
    assert refusal() == ["LAGO_XERO_DATABASE_URL should begin with postgresql://."]


def test_unknown_variables_with_a_near_match(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAGO_XERO_KAFKA_TOPIC", "x")
    monkeypatch.setenv("LAGO_XERO_ZZZ", "x")
    monkeypatch.setenv("LAGO_XERO_SANDBOX_XERO_CONTROL_URL", "x")
    monkeypatch.setenv("LAGO_XERO_WEBHOOK_SECRET_FILE", "/x")
    assert unknown() == [
        "LAGO_XERO_KAFKA_TOPIC is no setting of ours; did you mean LAGO_XERO_KAFKA_TOPICS?",
        "LAGO_XERO_ZZZ is no setting of ours.",
    ]


def test_the_table_names_and_describes_every_setting() -> None:
    table = settings_table()
    assert ("LAGO_XERO_KAFKA_TOPICS", "lago.webhooks") in [(n, d) for n, d, _ in table]
    assert ("LAGO_XERO_DATABASE_URL", "required") in [(n, d) for n, d, _ in table]
    assert ("LAGO_XERO_CALL_TIMEOUT", "90") in [(n, d) for n, d, _ in table]
    assert all(description.endswith((".", "…")) for _, _, description in table)


def test_the_vault_rotates_keys() -> None:
    stored = Vault([KEY]).encrypt(b"secret")
    assert b"secret" not in stored
    rotated = Vault([OTHER_KEY, KEY])
    assert rotated.decrypt(stored) == b"secret"
    assert Vault([OTHER_KEY]).decrypt(rotated.encrypt(b"new")) == b"new"
    with pytest.raises(Halt, match="cannot be decrypted"):
        Vault([OTHER_KEY]).decrypt(stored)


def test_the_vault_renews_what_an_older_key_encrypted() -> None:
    rotated = Vault([OTHER_KEY, KEY])
    renewed = rotated.renewed(Vault([KEY]).encrypt(b"secret"))
    assert renewed is not None
    assert Vault([OTHER_KEY]).decrypt(renewed) == b"secret"
    assert rotated.renewed(renewed) is None
    with pytest.raises(Halt):
        Vault([KEY]).renewed(renewed)


LAGO = ("LAGO_XERO_LAGO_API_URL", "https://api.getlago.com")
LAGO_KEY = ("LAGO_XERO_LAGO_API_KEY", SECRET)


def test_lagos_api_is_off_by_default() -> None:
    settings = load()
    assert (settings.lago_api_url, settings.lago_api_key) == (None, None)


def test_lagos_api_and_its_key_also_from_a_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "key").write_text(f"{SECRET}\n")
    monkeypatch.setenv(*LAGO)
    monkeypatch.setenv("LAGO_XERO_LAGO_API_KEY_FILE", str(tmp_path / "key"))
    settings = load()
    assert settings.lago_api_key is not None
    assert settings.lago_api_key.get_secret_value() == SECRET
    assert SECRET not in repr(settings)


@pytest.mark.parametrize("given", [LAGO, LAGO_KEY])
def test_lagos_api_and_its_key_go_together(
    monkeypatch: pytest.MonkeyPatch, given: tuple[str, str]
) -> None:
    monkeypatch.setenv(*given)
    [sentence] = refusal()
    assert "LAGO_API_URL and LAGO_XERO_LAGO_API_KEY go together" in sentence


@pytest.mark.parametrize("url", ["http://lago.internal", "https://api.getlago.com/api/v1", "lago"])
def test_an_address_of_lagos_api_that_cannot_be_used(
    monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv(*LAGO_KEY)
    monkeypatch.setenv("LAGO_XERO_LAGO_API_URL", url)
    [sentence] = refusal()
    assert sentence.startswith("LAGO_XERO_LAGO_API_URL")


@pytest.mark.parametrize("key", ["two words", "schlüssel", "line\nbreak"])
def test_a_key_that_no_header_can_hold(monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    monkeypatch.setenv(*LAGO)
    monkeypatch.setenv("LAGO_XERO_LAGO_API_KEY", key)
    [sentence] = refusal()
    assert sentence.startswith("LAGO_XERO_LAGO_API_KEY")
    assert key not in sentence

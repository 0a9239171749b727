"""Tests; helpers that assert say what they compared, as tests do."""

import pytest

for helpers in ("acceptance", "bench", "fakes", "integration", "lives", "schemas", "unit"):
    pytest.register_assert_rewrite(f"tests.{helpers}")

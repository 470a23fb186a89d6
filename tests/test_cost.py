from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vivant.cost import (
    EXCHANGE,
    RATES,
    bill,
    container_rate,
    money,
    no_rate,
    rate_name,
    usd_per_clip,
)
from vivant.errors import OptionError
from vivant.modal.options import DeploymentOptions, gpu_container


def test_the_users_arithmetic() -> None:
    """57 s × $0.000306/s × 1,450 ₩/$ = ₩25.2, as in their note."""
    found = bill("A10", 57)
    assert found is not None
    assert found.amount == pytest.approx(25.29, abs=0.01)
    assert money(found.amount, "KRW") == "₩25"
    assert money(found.usd, "USD") == "$0.0174"


@pytest.mark.parametrize(
    ("device", "row"),
    [
        ("NVIDIA H200", "H200"),
        ("NVIDIA H100 80GB HBM3", "H100"),
        ("NVIDIA A10G", "A10"),
        ("NVIDIA A10", "A10"),
        ("NVIDIA A100-SXM4-40GB", "A100-40"),
        ("NVIDIA A100-SXM4-80GB", "A100-80"),
        ("NVIDIA A100 80GB PCIe", "A100-80"),
        ("NVIDIA L4", "L4"),
        ("NVIDIA L40S", "L40S"),
        ("Tesla T4", "T4"),
        ("NVIDIA RTX PRO 6000 Blackwell Server Edition", "RTX PRO 6000"),
        ("NVIDIA B200", "B200"),
        ("cpu", "cpu"),
        ("NVIDIA GeForce RTX 4090", None),
    ],
)
def test_devices_find_their_rate(device: str, row: str | None) -> None:
    assert rate_name(device, RATES) == row


@given(st.sampled_from(sorted(RATES)), st.floats(0, 1e5), st.sampled_from(sorted(EXCHANGE)))
def test_bills_are_linear(device: str, seconds: float, currency: str) -> None:
    found = bill(device, seconds, currency=currency.lower())
    assert found is not None
    assert found.device == device
    assert found.usd == pytest.approx(seconds * RATES[device])
    assert found.amount == pytest.approx(found.usd * EXCHANGE[currency])


def test_the_users_own_rates_win() -> None:
    found = bill("RTX 4090", 10, rates={"4090": 0.5}, exchange={"EUR": 0.8}, currency="EUR")
    assert found is not None
    assert found.amount == pytest.approx(4.0)


def test_an_unknown_currency_is_refused_and_an_unknown_device_is_not_billed() -> None:
    with pytest.raises(OptionError, match="VIVANT_EXCHANGE"):
        bill("cpu", 1, currency="XYZ")
    assert bill("abacus", 1) is None
    assert "VIVANT_RATES" in no_rate("abacus")


@pytest.mark.parametrize(
    ("amount", "currency", "text"),
    [(0.61, "KRW", "₩0.61"), (25.2, "KRW", "₩25"), (1234.5, "KRW", "₩1,234"), (2, "CHF", "CHF 2")],
)
def test_money_reads_well(amount: float, currency: str, text: str) -> None:
    assert money(amount, currency) == text


def test_a_rare_clip_on_modal_pays_for_start_and_waiting() -> None:
    rate = container_rate(RATES["H200"], cores=8, memory_gib=32)
    assert rate == pytest.approx(0.001261 + 8 * 0.0000131 + 32 * 0.00000222)
    alone = usd_per_clip(5.46, rate, start_seconds=60, idle_seconds=60)
    assert alone == pytest.approx(rate * 125.46)
    assert money(alone * EXCHANGE["KRW"], "KRW") == "₩261"
    assert usd_per_clip(5.46, rate) == pytest.approx(rate * 5.46)
    twenty = usd_per_clip(5.46, rate, clips=20, start_seconds=60, idle_seconds=60)
    assert twenty == pytest.approx(rate * (20 * 5.46 + 120) / 20)
    with pytest.raises(ValueError, match="at least 1"):
        usd_per_clip(1, rate, clips=0)


def test_one_rare_clip_with_the_default_options_costs_less_than_80_won() -> None:
    """By the price list, with the start measured from the page cache."""
    options = DeploymentOptions()
    container = gpu_container(options, {})
    assert options.gpu == ("H100",)
    assert container.rate == container_rate(RATES["H100"], cores=8, memory_gib=32)
    assert container.rare_clip(5.6) * EXCHANGE["KRW"] == pytest.approx(41.7, abs=0.1)
    assert container.rare_clip(5.6) * EXCHANGE["KRW"] < 80

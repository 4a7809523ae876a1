from __future__ import annotations

import pytest

from providers.sandbox.bars import bar, clock_text, rate_text


@pytest.mark.parametrize(
    ("drawn", "expected"),
    [
        pytest.param(
            bar("flux_train_replicate", 248, 1000, 111, 1 / 2.22, "lr: 1.0e-04 loss: 3.840e-01"),
            "flux_train_replicate:  25%|██▍       | 248/1000 [01:51<05:38,  2.22it/s, lr: 1.0e-04 loss: 3.840e-01]",
            id="a trainer on Replicate",
        ),
        pytest.param(
            bar("Epoch 1/4, Steps", 121, 1000, 160, 1.32, "step_loss=0.044, lr=0.0001"),
            "Epoch 1/4, Steps:  12%|█▏        | 121/1000 [02:40<19:20,  1.32s/it, step_loss=0.044, lr=0.0001]",
            id="SimpleTuner",
        ),
        pytest.param(bar("Loading", 0, 3, 0, 1.0), "Loading:   0%|          | 0/3 [00:00<?, ?it/s]", id="not begun"),
        pytest.param(
            bar("", 50, 50, 3, 1 / 14.13), "100%|██████████| 50/50 [00:03<00:00, 14.13it/s]", id="done, without a label"
        ),
    ],
)
def test_bar_is_drawn_as_tqdm_draws_it(drawn: str, expected: str) -> None:
    assert drawn == expected


@pytest.mark.parametrize(("seconds", "text"), [(0, "00:00"), (59.9, "00:59"), (3599, "59:59"), (4026, "1:07:06")])
def test_durations_show_hours_only_when_there_are_any(seconds: float, text: str) -> None:
    assert clock_text(seconds) == text


@pytest.mark.parametrize(("seconds", "text"), [(4.1, " 4.10s/it"), (0.5, " 2.00it/s"), (0.0, "?it/s")])
def test_rate_is_given_as_the_larger_number(seconds: float, text: str) -> None:
    assert rate_text(seconds) == text

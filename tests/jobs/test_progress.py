import json
import math
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.progress import LAST_LOG_CHARACTERS, Progress, parse_log
from jobs.training_log.lines import MAX_CHARACTERS, MAX_LINE_CHARACTERS, MAX_LINES, newest_lines

PREPROCESSING, WARMUP, TRAINING = "Preprocessing", "Warmup", "Training"
VALIDATION, SAVING = "Validation", "Saving checkpoint"
STAGES = {PREPROCESSING, WARMUP, TRAINING, VALIDATION, SAVING}

CORPUS = Path(__file__).parents[2].parent / "shared" / "logs" / "dev.jsonl"


def bar(name: str, done: int, total: int, postfix: str = "", clock: str = "10:00<20:00") -> str:
    """A tqdm bar as one redraw."""
    return (
        f"{name}{100 * done // total:3d}%|{'█' * (10 * done // total):10}| {done}/{total} [{clock},  1.20s/it{postfix}]"
    )


# The rules on plain lines (SPEC A1)


@pytest.mark.parametrize(
    ("line", "stage", "progress"),
    [
        pytest.param("step 1500/5000", TRAINING, 30.0, id="step"),
        pytest.param("epoch 3/10", TRAINING, 30.0, id="epoch"),
        pytest.param("STEP 1500/5000", TRAINING, 30.0, id="step in capitals"),
        pytest.param("Epoch 3/10", TRAINING, 30.0, id="epoch with a capital"),
        pytest.param("Step 1500/5000 - loss: 0.0234", TRAINING, 30.0, id="the document's own example"),
        pytest.param("Step: 1,500 / 5,000", TRAINING, 30.0, id="thousands"),
        pytest.param("step 1500 of 5000", TRAINING, 30.0, id="of"),
        pytest.param("[step 1500/5000] lr=1e-4", TRAINING, 30.0, id="in brackets"),
        pytest.param("1500/5000 steps done", TRAINING, 30.0, id="word behind"),
        pytest.param("iteration     1500/    5000 |", TRAINING, 30.0, id="padded iteration"),
        pytest.param("Iter(train) [ 1500/5000]  lr: 1e-3", TRAINING, 30.0, id="mmengine"),
        pytest.param("INFO:__main__:Step 1500/5000", TRAINING, 30.0, id="python logging"),
        pytest.param('{"step":1500,"total_steps":5000}', TRAINING, 30.0, id="json"),
        pytest.param('{"epoch": 3, "total_epochs": 10}', TRAINING, 30.0, id="json epoch"),
        pytest.param("global_step=1500 max_steps=5000", TRAINING, 30.0, id="keys"),
        pytest.param("Preprocessing images", PREPROCESSING, None, id="preprocessing"),
        pytest.param("Loading dataset", PREPROCESSING, None, id="loading"),
        pytest.param("warming up", WARMUP, None, id="warming up"),
        pytest.param("Warmup phase", WARMUP, None, id="warmup"),
        pytest.param("Validating model", VALIDATION, None, id="validating"),
        pytest.param("INFO:trainer.loop:Validating model", VALIDATION, None, id="validation"),
        pytest.param("Checkpoint written", SAVING, None, id="checkpoint"),
        pytest.param("Saving checkpoint at step 1500/5000", SAVING, 30.0, id="checkpoint at a step"),
        pytest.param("Running validation at step 1500/5000", VALIDATION, 30.0, id="validation at a step"),
        pytest.param("Step 5/1000 lr=1e-6 (warmup)", WARMUP, 0.5, id="warmup at a step"),
        pytest.param("hello world", None, None, id="nothing telling"),
    ],
)
def test_plain_line_tells_stage_and_progress(line: str, stage: str | None, progress: float | None) -> None:
    result = parse_log(line)
    assert (result.stage, result.progress) == (stage, progress)


LIFE = ["Loading dataset", "Warmup phase", "Step 10/100", "Running validation", "Saving checkpoint", "Step 11/100"]
LIFE_STAGES = [PREPROCESSING, WARMUP, TRAINING, VALIDATION, SAVING, TRAINING]


@pytest.mark.parametrize("read", range(1, len(LIFE) + 1))
def test_newest_telling_line_decides(read: int) -> None:
    assert parse_log("\n".join(LIFE[:read])).stage == LIFE_STAGES[read - 1]


@pytest.mark.parametrize("line", ["Loading dataset", "Warmup phase", "Running validation", "Saving checkpoint"])
def test_newer_line_beats_an_older_step(line: str) -> None:
    assert parse_log(f"Step 10/100\n{line}").stage == parse_log(line).stage


def test_lines_that_tell_nothing_keep_the_stage() -> None:
    assert parse_log("Step 10/100\nhello\n\n   \nworld") == parse_log("Step 10/100\nworld")


@pytest.mark.parametrize("text", ["", "\n", "\r\n \n\t", "\x1b[0m\n\x00"], ids=["empty", "newline", "blanks", "codes"])
def test_blank_log_tells_nothing(text: str) -> None:
    assert parse_log(text) == Progress()


# What the log's last line looks like


@pytest.mark.parametrize(
    ("text", "last_log"),
    [
        pytest.param("Step 1500/5000 - loss: 0.0234", "Step 1500/5000 - loss: 0.0234", id="as it is"),
        pytest.param("a\nb\n\n  \n", "b", id="blank lines at the end"),
        pytest.param("old\rnew", "new", id="redrawn"),
        pytest.param("Step 1/9\r\nStep 2/9\r\n", "Step 2/9", id="windows line ends"),
        pytest.param("new\r        \r", "new", id="erased by spaces"),
        pytest.param("\x1b[1mStep \x1b[36m2\x1b[0m/9\x1b[K", "Step 2/9", id="colours"),
        pytest.param("\x1b]0;title\x07Step 2/9", "Step 2/9", id="window title"),
        pytest.param("loading |\b/\b-", "loading -", id="spinner"),
        pytest.param("  1/9 [=>..]\b\b\b\b\b\b\b\b\b\b\b\b  2/9 [==>.]", "2/9 [==>.]", id="backspaces over the line"),
        pytest.param("a\x00b\x07\tc", "ab c", id="control characters"),
        pytest.param("bar\x1b[A\rinner", "inner", id="cursor up"),
        pytest.param("x" * 200, "x" * 80, id="long"),
        pytest.param("ok \ud83d", "ok \ufffd", id="lone surrogate"),
    ],
)
def test_last_log_is_the_last_line_shown(text: str, last_log: str) -> None:
    assert parse_log(text).last_log == last_log


# What the parser before this one got wrong


def test_tqdm_bar_gives_a_percentage() -> None:
    assert parse_log("\r" + bar("Steps: ", 1499, 5000) + "\r" + bar("Steps: ", 1500, 5000)).progress == 30.0


@pytest.mark.parametrize("line", ["step 6000/5000", "epoch 12/10"])
def test_more_steps_than_the_total_are_100_percent(line: str) -> None:
    assert parse_log(line).progress == 100.0


@pytest.mark.parametrize("line", ["Step 0/0", "Epoch 0/0", "Validation: iteration 1/0"])
def test_total_of_zero_gives_no_percentage(line: str) -> None:
    assert parse_log(line).progress is None


@pytest.mark.parametrize("older", ["Saving checkpoint to /out/checkpoint-500", "Warmup phase", "Running validation"])
def test_older_phase_does_not_beat_the_newest_bar(older: str) -> None:
    result = parse_log(f"{older}\n" + bar("Steps: ", 501, 2000))
    assert (result.stage, result.progress) == (TRAINING, 25.05)


@pytest.mark.parametrize("line", ["Step 10/100 validation_loss=0.31", "Epoch 1/10 - loss: 0.3 - validation loss: 0.31"])
def test_validation_metric_beside_a_counter_is_training(line: str) -> None:
    result = parse_log(line)
    assert (result.stage, result.progress) == (TRAINING, 10.0)


@pytest.mark.parametrize(
    "line",
    [
        "validation_loss=0.31",
        "val_loss: 0.31",
        "Setting eval_sample_packing, warmup_steps=10, checkpointing_steps=500",
        "Gradient checkpointing enabled",
        "warmup steps: 100",
        "/out/checkpoint-500/validation/loading.txt",
        "[NeMo W 2025-03-07 22:35:19 validation:389] There is a difference in the state dict",
        "[NeMo I 2025-03-07 22:35:19 validation:389] There is a difference in the state dict",
        "UserWarning: the checkpoint callback monitors a validation value",
        "timestep 500/1000, eval_steps 5/10, micro-step 3/4",
        "lr_scheduler: cosine with warmup",
        "Using timestep sampling: sigmoid",
    ],
)
def test_settings_metrics_and_paths_are_no_phase(line: str) -> None:
    assert parse_log(line).stage is None


def test_counter_in_a_warning_counts() -> None:
    result = parse_log("WARNING: loss is nan, skipping validation at step 5/10")
    assert (result.stage, result.progress) == (TRAINING, 50.0)


@pytest.mark.parametrize(
    "detail", ["Caching latents", bar("Fetching files: ", 1, 2), "Loading batch from cache /x/1.pt"]
)
def test_set_up_words_in_mid_run_are_a_detail(detail: str) -> None:
    assert parse_log(f"Step 10/100\n{detail}").stage == TRAINING
    assert parse_log(f"Running validation\n{detail}").stage == VALIDATION


def test_out_of_memory_traceback_is_not_training() -> None:
    crash = (
        "Traceback (most recent call last):\n"
        '  File "train.py", line 7, in training_step\n'
        "    loss = self.epoch(step 5/10)\n"
        "torch.cuda.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB (step 3/4)\n"
    )
    assert parse_log(crash) == Progress(last_log=crash.splitlines()[-1][:LAST_LOG_CHARACTERS].rstrip())
    after_training = parse_log(bar("steps: ", 100, 1000, ", avr_loss=0.1") + crash)
    assert (after_training.stage, after_training.progress) == (TRAINING, 10.0)


def test_data_rates_and_dates_are_no_progress() -> None:
    result = parse_log("2025/11/04 10:20:30 step=77 loss=0.2 mem 11/24GB torch 2.1/2.3")
    assert (result.stage, result.progress, result.step) == (TRAINING, None, 77)


# Logs that stop in the middle of a line, as every log of a running job does now and then


@pytest.mark.parametrize("cut", range(1, 60))
def test_bar_cut_short_never_jumps(cut: int) -> None:
    text = "\r" + bar("Steps: ", 1499, 5000, ", loss=0.1") + "\r" + bar("Steps: ", 1500, 5000, ", loss=0.1")
    result = parse_log(text[:-cut])
    assert (result.stage, result.progress) in {(TRAINING, 29.98), (TRAINING, 30.0)}


def test_total_cut_short_is_the_known_total() -> None:
    assert parse_log("Step 149/5000\nStep 150/50").progress == 3.0


# The whole job, not a part of it


@pytest.mark.parametrize(
    ("text", "progress"),
    [
        pytest.param("Epoch 3/10\n" + bar("steps: ", 1250, 5000), 25.0, id="step bar is finer than an epoch line"),
        pytest.param(bar("steps: ", 1250, 5000) + "\nepoch 3/10", 25.0, id="epoch line after the step bar"),
        pytest.param(bar("Epoch 3/10, Steps: ", 1250, 5000), 25.0, id="bar of steps named with its epoch"),
        pytest.param(bar("Epoch 3/10: ", 50, 100), 30.0, id="bar of one epoch"),
        pytest.param(bar("Epoch 3: ", 50, 100), None, id="bar of one epoch of nobody knows how many"),
        pytest.param("Epoch [3/10], Step [100/600], Loss: 0.5", 30.0, id="steps of one epoch in a text"),
        pytest.param("Epoch [1/10], Step [50/600]", 10.0, id="steps of the first epoch in a text"),
        pytest.param("Epoch 3/10\nstep 80/100", 30.0, id="steps that cannot be the job's"),
        pytest.param("Step 1500/5000: loss 0.1, epoch 3/10", 30.0, id="the job's steps, then the epoch"),
        pytest.param("Epoch 10/10\n" + bar("Epoch 10/10: ", 50, 100), 95.0, id="last epoch is not over yet"),
        pytest.param("Epoch 1/1\n 50/100 [=====>....] - ETA: 5s", 50.0, id="only epoch is not over yet"),
        pytest.param("Beginning of Epoch 1/1, Total Micro Batches 4708", 0.0, id="only epoch begins"),
        pytest.param(bar("Loading checkpoint shards: ", 1, 2), None, id="bar of a sub-task"),
        pytest.param("Step 500/1000\n" + bar("Processing validation prompts: ", 3, 7), 50.0, id="validation's bar"),
        pytest.param("Step 500/1000\nValidation step 3 of 7", 50.0, id="validation's steps"),
        pytest.param("Warmup step 20/100", None, id="warm-up's steps"),
        pytest.param("Total optimization steps = 5000\nStep 1500", 30.0, id="total from a banner"),
        pytest.param("Num Epochs = 3\n{'loss': 1.2, 'epoch': 0.9}", 30.0, id="epochs from a banner"),
        pytest.param("Step 1000/1000\nTraining complete", 100.0, id="finished"),
    ],
)
def test_progress_is_of_the_whole_job(text: str, progress: float | None) -> None:
    assert parse_log(text).progress == progress


def test_banner_far_above_still_gives_the_total() -> None:
    chatter = "".join(f"time (ms) | forward-compute: {number}\n" for number in range(20_000))
    assert parse_log(f"Total optimization steps = 5000\n{chatter}Step 1500\n").progress == 30.0


def test_counters_loss_and_eta_are_read() -> None:
    result = parse_log("\r" + bar("Epoch 3/10, Steps: ", 1500, 5000, ", step_loss=0.0234, lr=0.0001", "12:01<1:28:02"))
    assert result == Progress(
        stage="Training",
        progress=30.0,
        last_log=result.last_log,
        step=1500,
        total_steps=5000,
        epoch=3,
        total_epochs=10,
        loss=0.0234,
        eta_seconds=5282,
    )


@pytest.mark.parametrize("loss", ["nan", "inf", "-inf", "1e999"])
def test_loss_that_is_no_number_is_unknown(loss: str) -> None:
    assert parse_log(f"Step 1/10 loss: 0.5\nStep 2/10 loss: {loss}").loss is None
    assert parse_log("\r" + bar("steps: ", 5, 10, f", loss={loss}")).loss is None


def test_eta_ends_with_the_training_bar() -> None:
    training = bar("steps: ", 500, 1000)
    assert parse_log(training).eta_seconds == 1200
    assert parse_log(f"{training}\nSaving checkpoint").eta_seconds is None


# Each trainer's own way of printing

TRAINER_BAR = bar("Steps: ", 500, 2000, ", loss=0.1")
HF_BAR = "\r" + bar("", 500, 2000)


@pytest.mark.parametrize(
    ("text", "stage", "progress"),
    [
        # SimpleTuner
        pytest.param(bar("Epoch 2/8, Steps: ", 500, 2000, ", step_loss=0.1"), TRAINING, 25.0, id="simpletuner bar"),
        pytest.param("[INFO] (id=x) Discovering cache objects..", PREPROCESSING, None, id="simpletuner scan"),
        pytest.param("\r" + bar("Write embeds to disk: ", 3, 9), PREPROCESSING, None, id="simpletuner embeds"),
        pytest.param(
            bar("Epoch 2/8, Steps: ", 500, 2000) + "\n\r" + bar("", 12, 28), VALIDATION, 25.0, id="simpletuner sampler"
        ),
        pytest.param(
            "Manual checkpoint requested. Step 500 of 2000: loss 0.1, epoch 2/8", SAVING, 25.0, id="simpletuner manual"
        ),
        # Replicate
        pytest.param("[TRAINING] Step 500/2000 (25.0%) Status: running", TRAINING, 25.0, id="cog step"),
        pytest.param("[STAGE] ⏳ VAE Caching (bucket 1.0) (45.0%)", PREPROCESSING, None, id="cog cache"),
        pytest.param(
            "[STAGE] ⏳ Running Final Validations: Generating images...", VALIDATION, None, id="cog validation"
        ),
        pytest.param("\r" + bar("flux_train_replicate: ", 5, 20, ", lr: 1e-4 loss: 3e-1"), TRAINING, 25.0, id="flux"),
        # kohya
        pytest.param(
            "caching latents...\n\r" + bar("", 11, 24, clock="00:06<00:07"), PREPROCESSING, None, id="kohya latents"
        ),
        pytest.param(
            "running training / 学習開始\n  num epochs / epoch数: 10\n  total optimization steps / 学習: 2000",
            TRAINING,
            0.0,
            id="kohya banner",
        ),
        pytest.param(
            TRAINER_BAR + "\ngenerating sample images at step / ステップ: 500\n" + bar("", 12, 28),
            VALIDATION,
            25.0,
            id="kohya samples",
        ),
        pytest.param(TRAINER_BAR + "\nsave trained model to /out/last.safetensors", SAVING, 25.0, id="kohya save"),
        # diffusers
        pytest.param(
            TRAINER_BAR + "12/04/2023 - INFO - __main__ - Running validation... \n Generating 4 images with prompt: a",
            VALIDATION,
            25.0,
            id="diffusers glued validation",
        ),
        pytest.param(bar("Generating class images: ", 5, 50), PREPROCESSING, None, id="diffusers class images"),
        pytest.param("Resuming from checkpoint checkpoint-500", PREPROCESSING, None, id="diffusers resume"),
        pytest.param(TRAINER_BAR + "\nSaved state to out/checkpoint-500", SAVING, 25.0, id="diffusers save"),
        # Megatron
        pytest.param(
            " iteration      500/    2000 | lm loss: 7.1E+00 |\ntime (ms) | forward-compute: 1.0 | optimizer: 2.0",
            TRAINING,
            25.0,
            id="megatron",
        ),
        pytest.param(
            "iteration 500/ 2000 |\nsaving checkpoint at iteration     500 to /ckpt", SAVING, 25.0, id="megatron save"
        ),
        pytest.param("iteration 500/ 2000 |\nEvaluating iter 5/10", VALIDATION, 25.0, id="megatron evaluation"),
        pytest.param("> building train, validation, and test datasets ...", PREPROCESSING, None, id="megatron data"),
        pytest.param("  lr_warmup_iters ............ 0", PREPROCESSING, None, id="megatron arguments"),
        # NeMo and Lightning
        pytest.param("Training epoch 0, iteration 5/20 | lr: 1e-6 | global_step: 5", TRAINING, 25.0, id="nemo"),
        pytest.param("Validation: |                    …", VALIDATION, None, id="nemo validation"),
        pytest.param("\rSanity Checking DataLoader 0:  50%|█████     | 1/2", VALIDATION, None, id="lightning sanity"),
        pytest.param("`Trainer.fit` stopped: `max_epochs=10` reached.", TRAINING, 100.0, id="lightning end"),
        pytest.param(
            "Epoch 2, global step 150: 'val_loss' reached 0.3, saving model to 'x.ckpt' as top 1",
            SAVING,
            None,
            id="lightning save",
        ),
        pytest.param("\x1b[37mEpoch 4/20 \x1b[0m━━━━━━ 150/312 0:00:14 • 0:00:16", TRAINING, 20.0, id="lightning rich"),
        # transformers, TRL, Axolotl, Unsloth, LLaMA-Factory
        pytest.param(HF_BAR, TRAINING, 25.0, id="transformers bare bar"),
        pytest.param(HF_BAR + "\n\r" + bar("", 3, 63), VALIDATION, 25.0, id="transformers nested evaluation"),
        pytest.param(
            HF_BAR + "\n{'eval_loss': 0.4, 'epoch': 1.0}\n\r" + bar("", 600, 2000), TRAINING, 30.0, id="transformers on"
        ),
        pytest.param(" [500/2000 08:40 < 17:22, 0.96 it/s, Epoch 1.00/3]", TRAINING, 25.0, id="transformers notebook"),
        pytest.param("***** Running training *****\n  Num Epochs = 3", TRAINING, 0.0, id="transformers banner"),
        pytest.param(HF_BAR + "\nSaving model checkpoint to out/checkpoint-500", SAVING, 25.0, id="transformers save"),
        pytest.param(
            "Tokenizing train dataset:  41%|████      | 41/100 [00:03<00:04, 13.00 examples/s]",
            PREPROCESSING,
            None,
            id="trl tokenizing",
        ),
        pytest.param("Saving the dataset (1/1 shards): 100%|███| 9/9 [00:00<00:00]", PREPROCESSING, None, id="axolotl"),
        pytest.param(
            "==((====))==  Unsloth - 2x faster\n Num Epochs = 1 | Total steps = 60\nStep\tTraining Loss\n15\t1.823000",
            TRAINING,
            25.0,
            id="unsloth table",
        ),
        pytest.param(" 50%|█████     | 5.0M/10.0M [00:20<00:20, 250kB/s]", PREPROCESSING, None, id="nameless download"),
        pytest.param(
            "model.safetensors:  10%|█  | 0.50/5.0G [00:01<00:09, 500MB/s]", PREPROCESSING, None, id="download"
        ),
        pytest.param("***** Running Evaluation *****\n\r" + bar("", 44, 110), VALIDATION, None, id="llama-factory"),
        # DeepSpeed
        pytest.param("***** Evaluating perplexity, Epoch 4/16 *****", VALIDATION, 25.0, id="deepspeed evaluation"),
        pytest.param(
            "Beginning of Epoch 4/16, Total Micro Batches 460\n[Rank 0] step=2410, skipped=44, lr=[7e-06]",
            TRAINING,
            25.0,
            id="deepspeed steps",
        ),
        pytest.param(
            "[Rank 0] step=0, skipped=0\n[config.py:999:print] zero_enabled ........ False",
            PREPROCESSING,
            None,
            id="deepspeed start",
        ),
        # YOLO
        pytest.param(
            "      5/20      2.75G      1.061      1.705        477        640: 100%|███| 6/6 [00:01<00:00]",
            TRAINING,
            25.0,
            id="yolo row",
        ),
        pytest.param(
            "   5/20  2.7G  1.0  640: 100% 6/6 [00:01<00:00]\n    Class  Images  Instances  P: 50% 1/2 [00:00<00:00]",
            VALIDATION,
            25.0,
            id="yolo validation",
        ),
        pytest.param("Starting training for 20 epochs...", TRAINING, 0.0, id="yolo start"),
        pytest.param(
            "train: Scanning /data/labels...:  50%|█████| 46/92 [00:00<00:00]", PREPROCESSING, None, id="yolo"
        ),
        # Keras
        pytest.param("Epoch 5/20\n 40/235 [====>.........] - ETA: 8s - loss: 0.5702", TRAINING, 25.0, id="keras 2"),
        pytest.param(
            "Epoch 5/20\n\x1b[1m 40/391\x1b[0m \x1b[32m━━━━━━\x1b[0m \x1b[1m5s\x1b[0m 15ms/step - loss: 0.7",
            TRAINING,
            25.0,
            id="keras 3",
        ),
        pytest.param("Epoch 5/20\nEpoch 5: saving model to best.h5", SAVING, 25.0, id="keras save"),
        pytest.param("Train on 2000 samples, validate on 1000 samples", PREPROCESSING, None, id="keras start"),
        # AI Toolkit, OneTrainer, torchtune, timm, fastai
        pytest.param("\rmy_lora: " + bar("", 5, 20, ", lr: 1e-4 loss: 2.9e-01"), TRAINING, 25.0, id="ai-toolkit"),
        pytest.param("\r" + bar("Generating Samples: ", 1, 10), VALIDATION, None, id="ai-toolkit samples"),
        pytest.param(
            "\r" + bar("epoch: ", 5, 20) + "\n\r" + bar("step: ", 99, 100, ", loss=0.2"),
            TRAINING,
            25.0,
            id="onetrainer",
        ),
        pytest.param("\r" + bar("caching: ", 55, 120), PREPROCESSING, None, id="onetrainer cache"),
        pytest.param("\r" + bar("epoch: ", 5, 20) + "\nCreating Backup x", SAVING, 25.0, id="onetrainer backup"),
        pytest.param("\r" + bar("2|1010|Loss: 0.93: ", 202, 808), TRAINING, 25.0, id="torchtune"),
        pytest.param("Adapter checkpoint of size 0.05 GiB saved to /o/epoch_0/a.pt", SAVING, None, id="torchtune save"),
        pytest.param("Train: 12 [ 500/1251 ( 40%)]  Loss: 3.79 (3.90)", TRAINING, None, id="timm"),
        pytest.param("Test: [  48/48]  Time: 0.101  Loss:   1.034", VALIDATION, None, id="timm test"),
        pytest.param(
            "epoch     train_loss  valid_loss  time\n0         0.741204    0.412381    00:21",
            TRAINING,
            None,
            id="fastai",
        ),
        pytest.param("Epoch 1/4 : |██-----| 5.49% [5/91 00:01<00:20 0.6631]", TRAINING, 25.0, id="fastai bar"),
    ],
)
def test_trainer_is_understood(text: str, stage: str, progress: float | None) -> None:
    result = parse_log(text)
    assert (result.stage, result.progress) == (stage, progress)


# Whatever the text


FRAGMENTS = (
    *(
        "step ",
        "Step 1/10",
        "step 12/",
        "epoch ",
        "Epoch 3/10",
        "0/0",
        "/",
        " of ",
        "1,500",
        "999999999999999999999",
        "-",
    ),
    *("Loading checkpoint shards", "Saving checkpoint", "validation", "warmup", "preprocessing", "Training complete"),
    *(
        "***** Running training *****",
        "Num Epochs = 3",
        "Total optimization steps = 0",
        "Starting training for 3 epochs",
    ),
    *(
        bar("Steps: ", 5, 10),
        bar("", 0, 7),
        " 50%|██",
        "100%|",
        "%",
        "|",
        "[",
        "]",
        "(",
        "loss: nan",
        "loss=-inf",
        "1e999",
    ),
    *("Traceback (most recent call last):\n", '  File "x.py", line 1, in y\n', "RuntimeError: x", "WARNING "),
    *(
        "epoch train_loss valid_loss",
        "0 0.5 0.4",
        "Train: 1 [1/2 (50%)]",
        "5/91 [===>.]",
        "1|2|Loss: 0.3:",
        "5/20 2.7G",
    ),
    *(
        "\n",
        "\r",
        "\b",
        "\b\b\b\b\b\b",
        "\x1b[",
        "\x1b[31m",
        "\x1b[A",
        "\x1b]0;",
        "\x00",
        "\t",
        " ",
        "\ud800",
        "٣",
        "²",
        "━━━━",
    ),
)
ANY_TEXT = st.text(st.characters(exclude_categories=()))
TRAINER_LIKE_TEXT = st.lists(st.sampled_from(FRAGMENTS) | st.text(max_size=3), max_size=40).map("".join)


@settings(deadline=None)
@given(ANY_TEXT | TRAINER_LIKE_TEXT)
def test_any_text_gives_a_sane_answer(text: str) -> None:
    result = parse_log(text)
    assert result.stage is None or result.stage in STAGES
    assert result.progress is None or 0.0 <= result.progress <= 100.0
    if result.last_log is not None:
        assert 0 < len(result.last_log) <= LAST_LOG_CHARACTERS
        assert not any(character < " " or "\x7f" <= character <= "\x9f" for character in result.last_log)
        assert result.last_log.encode()
    for number in (result.loss, result.epoch, result.eta_seconds):
        assert number is None or math.isfinite(number)


@settings(deadline=None)
@given(
    st.lists(st.sampled_from(["Step 5/10", "Loading dataset", "Running validation", "Saving checkpoint"]), min_size=1)
)
def test_stage_is_that_of_the_last_line(lines: list[str]) -> None:
    assert parse_log("\n".join(lines)).stage == parse_log(lines[-1]).stage


HOSTILE = (
    *(
        "a",
        "9",
        " ",
        "\r",
        "\n",
        "\b",
        "a\b",
        "\x00\r",
        "\x1b[",
        "\x1b[A",
        "\x1b[1",
        "step ",
        "step 1/",
        "[",
        "(",
        "|",
        "%",
        "1%",
    ),
    *(
        "1%|",
        "9,",
        ".",
        "-",
        "_",
        "=",
        "'a': ",
        "loss ",
        "load checkpoint ",
        'File "',
        "running a a ",
        bar("Steps: ", 5, 10),
    ),
)


@pytest.mark.parametrize("fragment", HOSTILE, ids=repr)
def test_what_is_read_of_a_long_text_is_bounded(fragment: str) -> None:
    text = fragment * (2_000_000 // len(fragment))
    lines = newest_lines(text)
    assert len(lines) <= MAX_LINES
    assert sum(map(len, lines)) <= MAX_CHARACTERS + MAX_LINE_CHARACTERS


@pytest.mark.parametrize("fragment", HOSTILE, ids=repr)
def test_four_times_the_text_does_not_take_four_times_as_long(fragment: str) -> None:
    short = fragment * (2_000_000 // len(fragment))
    # Whatever the machine is busy with, the smallest of a few is close to the true cost.
    assert _seconds(short * 4) < 2 * _seconds(short) + 0.1


@pytest.mark.parametrize("fragment", HOSTILE, ids=repr)
def test_long_line_takes_no_longer_than_its_length(fragment: str) -> None:
    line = (fragment * MAX_LINE_CHARACTERS)[: MAX_LINE_CHARACTERS - 1]
    half = line[: len(line) // 2]
    assert _seconds(line) < 3 * _seconds(half) + 0.02


def _seconds(text: str) -> float:
    best = math.inf
    for _ in range(3):
        start = time.perf_counter()
        parse_log(text)
        best = min(best, time.perf_counter() - start)
    return best


# Real logs


def test_real_logs_are_understood() -> None:
    if not CORPUS.exists():
        pytest.skip("the labelled corpus of real logs is not on this machine")
    records = [json.loads(line) for line in CORPUS.read_text(encoding="utf-8").splitlines()]
    wrong = [record["id"] for record in records if not _is_right(parse_log(record["text"]), record["expected"])]
    assert len(wrong) <= 0.03 * len(records), wrong


def _is_right(result: Progress, expected: dict[str, Any]) -> bool:
    stages = [expected["stage"], *expected.get("stage_ok", [])]
    shares = [expected["progress"], *expected.get("progress_ok", [])]
    return result.stage in stages and any(_is_near(result.progress, share) for share in shares)


def _is_near(one: float | None, other: float | None) -> bool:
    return one is other if one is None or other is None else abs(one - other) <= 0.5

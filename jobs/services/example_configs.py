"""Two configurations for the sandbox's store, so that something can be submitted at once."""

from typing import Any

from jobs.models import TrainingConfig

DATASETS = [
    {
        "id": "images",
        "type": "local",
        "dataset_type": "image",
        "instance_data_dir": "datasets/images",
        "caption_strategy": "textfile",
        "resolution": 1024,
        "resolution_type": "pixel_area",
        "minimum_image_size": 512,
        "cache_dir_vae": "cache/vae/images",
        "repeats": 10,
    },
    {
        "id": "text-embeds",
        "type": "local",
        "dataset_type": "text_embeds",
        "cache_dir": "cache/text",
        "default": True,
    },
]

EXAMPLES: dict[str, tuple[str, dict[str, Any]]] = {
    "example-flux-lora": (
        "A LoRA of a few dozen pictures on Flux.1 dev.",
        {
            "model_family": "flux",
            "model_type": "lora",
            "pretrained_model_name_or_path": "black-forest-labs/FLUX.1-dev",
            "base_model_precision": "int8-quanto",
            "lora_rank": 16,
            "resolution": 1024,
            "train_batch_size": 1,
            "gradient_accumulation_steps": 1,
            "max_train_steps": 1500,
            "learning_rate": 1e-4,
            "optimizer": "adamw_bf16",
            "lr_scheduler": "constant_with_warmup",
            "lr_warmup_steps": 100,
            "validation_prompt": "a photo of the subject in a sunlit garden",
            "validation_step_interval": 250,
            "checkpoint_step_interval": 500,
            "tracker_run_name": "flux-lora",
        },
    ),
    "example-sdxl-lora": (
        "A style as a LoRA on Stable Diffusion XL.",
        {
            "model_family": "sdxl",
            "model_type": "lora",
            "pretrained_model_name_or_path": "stabilityai/stable-diffusion-xl-base-1.0",
            "lora_rank": 32,
            "resolution": 1024,
            "train_batch_size": 2,
            "gradient_accumulation_steps": 2,
            "max_train_steps": 3000,
            "learning_rate": 8e-5,
            "optimizer": "adamw_bf16",
            "lr_scheduler": "cosine",
            "lr_warmup_steps": 200,
            "validation_prompt": "a lighthouse at dusk, in the trained style",
            "validation_step_interval": 500,
            "checkpoint_step_interval": 1000,
            "tracker_run_name": "sdxl-style",
        },
    ),
}


def add_examples() -> None:
    """Add those whose names are free."""
    for name, (description, config) in EXAMPLES.items():
        TrainingConfig.objects.get_or_create(
            name=name, defaults={"description": description, "config": config, "dataloader_config": DATASETS}
        )

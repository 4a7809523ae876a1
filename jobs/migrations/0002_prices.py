"""Replicate's published prices, as the first content of a table that operators change afterwards.

Source: replicate.com/pricing as stored after 2024-11, confirmed on 2026-05-04; earlier H100 and L40S prices from the
provider's fine-tuning guide (2025-05) and changelog (2024-11).
"""

from datetime import date
from decimal import Decimal

from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

SOURCE = "replicate.com/pricing"
LAUNCH, GUIDE, CONFIRMED = date(2024, 11, 1), date(2025, 5, 1), date(2026, 5, 4)

PRICES = (
    ("cpu", "CPU", "0.0001", LAUNCH),
    ("gpu-t4", "Nvidia T4", "0.000225", LAUNCH),
    ("gpu-a40-small", "Nvidia A40", "0.000575", LAUNCH),
    ("gpu-a40-large", "Nvidia A40 (Large)", "0.000725", LAUNCH),
    ("gpu-a40-large-2x", "2x Nvidia A40 (Large)", "0.00145", LAUNCH),
    ("gpu-a40-large-4x", "4x Nvidia A40 (Large)", "0.0029", LAUNCH),
    ("gpu-a40-large-8x", "8x Nvidia A40 (Large)", "0.0058", LAUNCH),
    ("gpu-a100-large", "Nvidia A100 (80GB)", "0.0014", LAUNCH),
    ("gpu-a100-large-2x", "2x Nvidia A100 (80GB)", "0.0028", LAUNCH),
    ("gpu-a100-large-4x", "4x Nvidia A100 (80GB)", "0.0056", LAUNCH),
    ("gpu-a100-large-8x", "8x Nvidia A100 (80GB)", "0.0112", LAUNCH),
    ("gpu-l40s", "Nvidia L40S", "0.000972", LAUNCH),
    ("gpu-l40s", "Nvidia L40S", "0.000975", CONFIRMED),
    ("gpu-2x-l40s", "2x Nvidia L40S", "0.00195", CONFIRMED),
    ("gpu-4x-l40s", "4x Nvidia L40S", "0.0039", CONFIRMED),
    ("gpu-8x-l40s", "8x Nvidia L40S", "0.0078", CONFIRMED),
    ("gpu-h100", "Nvidia H100", "0.001528", GUIDE),
    ("gpu-h100", "Nvidia H100", "0.001525", CONFIRMED),
    ("gpu-h100-2x", "2x Nvidia H100", "0.00305", CONFIRMED),
    ("gpu-h100-4x", "4x Nvidia H100", "0.0061", CONFIRMED),
    ("gpu-h100-8x", "8x Nvidia H100", "0.0122", CONFIRMED),
)


def add_prices(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    model = apps.get_model("jobs", "HardwarePrice")
    model.objects.bulk_create(
        model(
            provider="replicate",
            hardware=hardware,
            label=label,
            usd_per_second=Decimal(price),
            effective_from=day,
            source=SOURCE,
        )
        for hardware, label, price, day in PRICES
    )


class Migration(migrations.Migration):
    dependencies = (("jobs", "0001_initial"),)
    operations = (migrations.RunPython(add_prices, migrations.RunPython.noop),)

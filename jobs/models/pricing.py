"""The price table, which operators can change, and what runs where."""

from datetime import date

from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from jobs.pricing import Price, PriceBook


class HardwarePriceManager(models.Manager["HardwarePrice"]):
    """Prices as a whole."""

    def book(self) -> PriceBook:
        """Every price and assignment, in two queries."""
        prices = self.values_list("provider", "hardware", "effective_from", "usd_per_second")
        assigned = ModelHardware.objects.values_list("provider", "model", "hardware")
        return PriceBook(
            (Price(*row) for row in prices), {(provider, model): hardware for provider, model, hardware in assigned}
        )


class HardwarePrice(models.Model):
    """What a machine costs from a day on. A change of price is a new row: old runs keep their price."""

    provider = models.CharField(_("provider"), max_length=32)
    hardware = models.CharField(_("hardware"), max_length=64)
    label = models.CharField(_("label"), max_length=64, blank=True)
    usd_per_second = models.DecimalField(
        _("USD per second"), max_digits=12, decimal_places=8, validators=[MinValueValidator(0)]
    )
    effective_from = models.DateField(_("in force from"), default=date.today)
    source = models.CharField(_("source"), max_length=255, blank=True)

    objects = HardwarePriceManager()

    class Meta:
        verbose_name = _("hardware price")
        verbose_name_plural = _("hardware prices")
        ordering = ("provider", "hardware", "-effective_from")
        constraints = (
            models.UniqueConstraint(name="one_price_per_day", fields=("provider", "hardware", "effective_from")),
            models.CheckConstraint(name="price_is_not_negative", condition=Q(usd_per_second__gte=0)),
        )

    def __str__(self) -> str:
        return f"{self.hardware}: {self.usd_per_second} USD/s ({self.effective_from})"


class ModelHardware(models.Model):
    """The machine that a model runs on, as the operator knows it: no API of Replicate tells."""

    provider = models.CharField(_("provider"), max_length=32, default="replicate")
    model = models.CharField(_("model"), max_length=255, help_text=_("owner/name, as the provider writes it"))
    hardware = models.CharField(_("hardware"), max_length=64)

    class Meta:
        verbose_name = _("hardware of a model")
        verbose_name_plural = _("hardware of models")
        ordering = ("provider", "model")
        constraints = (models.UniqueConstraint(name="one_hardware_per_model", fields=("provider", "model")),)

    def __str__(self) -> str:
        return f"{self.model}: {self.hardware}"

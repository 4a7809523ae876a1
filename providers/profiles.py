"""The machines that a training can be submitted to, by the names that SimpleTuner gives them.

A profile names its trainer model at the provider, and so the hardware that is billed.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from providers import names

DEFAULT_PROFILE = "h100"


@dataclass(frozen=True, slots=True)
class HardwareProfile:
    """One choice of machine. ``hardware``: the provider's own identifier, which prices go by."""

    profile_id: str
    label: str
    model: str
    hardware: str


def _replicate(gpu: str, count: int) -> HardwareProfile:
    profile_id = gpu if count == 1 else f"{gpu}-x{count}"
    # The count stands before the name for L40S and after it for H100 (Replicate's price list).
    hardware = f"gpu-{count}x-{gpu}" if gpu == "l40s" else f"gpu-{gpu}-{count}x"
    return HardwareProfile(
        profile_id=profile_id,
        label=gpu.upper() if count == 1 else f"{count}x {gpu.upper()}",
        model=f"simpletuner/advanced-trainer-{profile_id}",
        hardware=f"gpu-{gpu}" if count == 1 else hardware,
    )


PROFILES: Mapping[str, Mapping[str, HardwareProfile]] = {
    names.REPLICATE: {
        profile.profile_id: profile
        for profile in (_replicate(gpu, count) for gpu in ("h100", "l40s") for count in (1, 2, 4, 8))
    },
}


def find_profile(provider: str, name: str | None) -> HardwareProfile:
    """The profile of that name, also as SimpleTuner lets people write it; without a name, the default.

    Raises ``ValueError`` that names those there are.
    """
    known = PROFILES.get(provider, {})
    wanted = (name or DEFAULT_PROFILE).strip().lower().replace("_", "-").removeprefix("advanced-trainer-")
    for gpu in ("h100", "l40s"):
        if wanted in (f"{gpu}-x1", f"1x{gpu}", f"1x-{gpu}"):
            wanted = gpu
    if wanted not in known:
        raise ValueError(f"{(name or '')[:40]!r} is not a hardware profile; known: {', '.join(known)}.")
    return known[wanted]

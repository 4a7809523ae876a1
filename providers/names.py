"""The names of the providers that exist, for those who only need to name them."""

REPLICATE = "replicate"
PROVIDERS = (REPLICATE,)
LABELS = {REPLICATE: "Replicate"}

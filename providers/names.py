"""The names of the providers that exist, for those who only need to name them."""

REPLICATE = "replicate"
PROVIDERS = (REPLICATE,)
LABELS = {REPLICATE: "Replicate"}
# Hosts of its own that a page may lead to; "*." stands for every name below.
LINK_HOSTS = {REPLICATE: ("replicate.com", "replicate.delivery", "*.replicate.delivery")}

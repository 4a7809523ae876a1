"""The dashboard: pages, their fragments, and what plain forms do. Each calls services and templates, nothing else."""

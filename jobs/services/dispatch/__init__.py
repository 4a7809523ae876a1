"""From a waiting entry to a job at its provider, and back: never twice, never lost (docs/queue.md)."""

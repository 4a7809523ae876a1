"""SimpleTuner Cloud: the project that ties web, worker and beat together."""

__version__ = "0.1.0"

"""What must hold whatever happens, tried with thousands of invented histories."""

import pytest

pytest.register_assert_rewrite("tests.jobs.properties.machine")

"""Numbers and times in the reader's language: the server and the browser say the same, to the letter."""

import json
import shutil
import subprocess
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.http import HttpRequest
from django.utils import translation

from jobs.presentation.formats import (
    day_and_year,
    duration,
    file_size,
    moment,
    money,
    number,
    percent,
    relative_time,
    rough_duration,
    spoken_time_left,
    weekday_and_year,
)
from jobs.presentation.series_table import number as point
from simpletuner_cloud.language import Catalogue

ROOT = Path(__file__).parents[2]
NOW = datetime(2026, 11, 25, 13, 5, 9, tzinfo=UTC)
NUMBERS = [0, 1, 12, 999, 1000, 12_345, 100_000, 1_234_567, 12_345_678, 0.5, 1234.25]
POINTS = [1500, 100_000, 0.0234, 5e-05, 12.5]
SIZES = [0, 1, 512, 1023, 1024, 1536, 104_857_600, 3 * 1024**4]
SECONDS = [0, 2, 3, 45, 59, 60, 61, 3599, 3600, 8100, 86_399, 86_400, 100_000, 604_799]
MOMENTS = [datetime(2026, month, 3, 4, 5, 6, tzinfo=UTC) for month in range(1, 13)]
PERCENTS = [0, 12.9, 100]
SCRIPT = """
import {{ readFileSync }} from "node:fs";
import vm from "node:vm";
globalThis.document = {{ documentElement: {{ lang: {language} }} }};
vm.runInThisContext({catalogue});
const formats = await import({module});
const {{ shortNumber }} = await import({chart});
const given = {given};
const told = {{
  numbers: given.numbers.map(formats.number),
  points: given.points.map(shortNumber),
  sizes: given.sizes.map(formats.fileSize),
  durations: given.seconds.map(formats.duration),
  rough: given.seconds.map(formats.roughDuration),
  spoken: given.seconds.map(formats.spokenTimeLeft),
  ago: given.seconds.map(formats.relativeTime),
  full: given.moments.map((at) => formats.fullTime(new Date(at))),
  short: given.moments.map((at) => formats.shortTime(new Date(at))),
  percents: given.percents.map(formats.percent),
}};
console.log(JSON.stringify(told));
"""


@pytest.mark.parametrize("language", ["en", "hi"])
def test_server_and_browser_say_the_same(language: str, tmp_path: Path) -> None:
    with translation.override(language):
        moments = [moment(at, NOW) for at in MOMENTS]
        server = {
            "numbers": [number(value) for value in NUMBERS],
            "points": [point(value) for value in POINTS],
            "sizes": [file_size(size) for size in SIZES],
            "durations": [duration(seconds) for seconds in SECONDS],
            "rough": [rough_duration(seconds) for seconds in SECONDS],
            "spoken": [spoken_time_left(seconds) for seconds in SECONDS],
            "ago": [relative_time(NOW - timedelta(seconds=seconds), NOW) for seconds in SECONDS],
            "full": [at.absolute for at in moments if at],
            "short": [at.short for at in moments if at],
            "percents": [percent(value) for value in PERCENTS],
        }
    assert browser(language, tmp_path) == server


def browser(language: str, folder: Path) -> Any:
    """What the scripts of the page make of the same values, in UTC."""
    with translation.override(language):
        catalogue = Catalogue().get(HttpRequest()).content.decode()
    # The catalogue gives its functions to whatever `this` is.
    given = {
        "numbers": NUMBERS,
        "points": POINTS,
        "sizes": SIZES,
        "seconds": SECONDS,
        "moments": [at.isoformat() for at in MOMENTS],
        "percents": PERCENTS,
    }
    script = SCRIPT.format(
        language=json.dumps(language),
        catalogue=json.dumps(catalogue),
        module=json.dumps((ROOT / "static/js/format.js").as_uri()),
        chart=json.dumps((ROOT / "static/js/charts/numbers.js").as_uri()),
        given=json.dumps(given),
    )
    file = folder / "told.mjs"
    file.write_text(script, encoding="utf-8")
    node = shutil.which("node") or shutil.which("nodejs")
    assert node, "Node belongs to what the tests need"
    command = [node, "--no-warnings", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env={"TZ": "UTC"}, encoding="utf-8")
    return json.loads(done.stdout)


def test_hindi_is_written_as_in_india_with_latin_digits() -> None:
    with translation.override("hi"):
        assert number(1_234_567) == "12,34,567"
        assert money(Decimal("1234567.5")) == "$12,34,567.50"
        assert money(Decimal("7.58")) == "$7.58"
        assert day_and_year(date(2026, 11, 25)) == "25 नव॰ 2026"
        assert weekday_and_year(date(2026, 11, 25)) == "बुध, 25 नव॰ 2026"
        assert duration(8100) == "2 घं॰ 15 मि॰"
        assert percent(80.9) == "80 %"


def test_english_is_as_it_was() -> None:
    assert number(1_234_567) == "1,234,567"
    assert money(Decimal("1234567.5")) == "$1,234,567.50"
    assert day_and_year(date(2026, 9, 5)) == "5 Sep 2026"
    assert weekday_and_year(date(2026, 11, 25)) == "Wed 25 Nov 2026"

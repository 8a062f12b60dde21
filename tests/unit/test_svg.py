"""Pictures of charts, and the parts of pages that are made of their rows."""

from __future__ import annotations

import re

from dashboards.render import render
from dashboards.svg import chart
from tasks.web.analytics import CHARTS, ChartData


def drawn(name, columns, rows):
    return ChartData(CHARTS[name], "SELECT 1", tuple(columns), tuple(rows))


def test_the_chart_of_hours_draws_its_videos_too():
    picture = str(chart(drawn("hours", ("indexed", "hours", "videos"), [("2024-01", 1.5, 2), ("2024-03", 0.25, 1)])))
    hours, videos = picture.split("</svg>")[:2]
    assert re.findall(r"<title>(.*?)</title>", hours) == ["2024-01: 1.5 h", "2024-03: 0.25 h"]
    assert re.findall(r"<title>(.*?)</title>", videos) == ["2024-01: 2 videos", "2024-03: 1 video"]
    heights = [float(height) for height in re.findall(r'<rect class="s1"[^>]*? height="([\d.]+)"', videos)]
    assert heights[0] == 2 * heights[1] > 0
    assert re.findall(r'text-anchor="end">(.*?)<', videos) == ["0", "1", "2"]


def concordance(places):
    rows = [("a" * 20, "A talk", "2024-01-01", 1000 * n, "before", "word", "after") for n in range(places)]
    columns = ("video_id", "title", "published", "start_ms", "before", "word", "after")
    made = drawn("concordance", columns, rows)
    values = {"word": "word"}
    return render("chart_part.html", chart=made.chart, drawn=made, picture="", error=None, values=values, choices=None)


def test_a_concordance_that_was_cut_says_so():
    whole, cut = concordance(99), concordance(100)
    assert "100 places" not in re.sub(r'<p class="hint">Where a word.*?</p>', "", whole)
    assert '<p class="hint">The first 100 places.</p>' in cut
    assert ">CSV of the first 100 places</a>" in cut

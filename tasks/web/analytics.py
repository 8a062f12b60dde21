"""What the archive talks about, as charts. Each is one SQL query over the lake's views, which is shown as it is run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from tasks.errors import BadQuery, NotFound
from tasks.lake.answers import plain
from tasks.lake.views import quoted
from tasks.search.filters import Filters
from tasks.text.folding import words_of
from tasks.web.filters import choices, conditions
from tasks.web.snapshots import View

Grain = Literal["day", "week", "month", "year"]
Kind = Literal["bars", "stacked", "words", "concordance"]
_FORMATS: dict[Grain, str] = {"day": "%Y-%m-%d", "week": "%G-W%V", "month": "%Y-%m", "year": "%Y"}
LONGEST_PHRASE = 32
CONCORDANCE_LINES = 100


@dataclass(frozen=True)
class ChartParams:
    """What a reader sets beside the filters: `phrase`, `word` and `topic` of the charts that have one, and the step of time."""

    phrase: str = ""
    word: str = ""
    topic: str = ""
    grain: Grain = "month"


@dataclass(frozen=True)
class Chart:
    """`kind` says how the rows are drawn: the first column is the place, `series` (if any) what is stacked, `value` the height.

    Places without rows are drawn as empty: of an `axis` of time its steps, of a number every so many units.
    """

    name: str
    title: str
    about: str
    kind: Kind
    value: str
    unit: str
    sql: Callable[[Filters, ChartParams], str]
    series: str | None = None
    axis: Literal["time"] | int | None = None
    wants: Literal["phrase", "word", "topic"] | None = None


@dataclass(frozen=True)
class ChartData:
    """The rows of a chart, with the query that made them; values are those of JSON."""

    chart: Chart
    sql: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]


def draw(view: View, name: str, filters: Filters, asked: ChartParams) -> ChartData:
    """The rows of one chart.

    Raises:
        NotFound: there is no such chart. BadQuery: it lacks its phrase or word, or that is none.
    """
    chart = chart_named(name)
    if chart.wants == "topic" and not asked.topic:
        listed = choices(view).topics
        topic = filters.topic or (listed[0][0] if listed else "")
        asked = ChartParams(asked.phrase, asked.word, topic, asked.grain)
    sql = chart.sql(filters, asked)

    def make() -> ChartData:
        done = view.connection.execute(sql)
        columns = tuple(column[0] for column in done.description or ())
        return ChartData(chart, sql, columns, tuple(tuple(map(plain, row)) for row in done.fetchall()))

    return view.answers.get(("chart", sql), make, lambda drawn: len(drawn.rows) * len(drawn.columns))


def chart_named(name: str) -> Chart:
    """One of `CHARTS`.

    Raises:
        NotFound: there is no such chart.
    """
    if name not in CHARTS:
        raise NotFound(f"There is no chart {name[:40]!r}.", next=f"Charts: {', '.join(CHARTS)}.")
    return CHARTS[name]


def _chosen(filters: Filters, columns: str, *more: str) -> str:
    where = "\n      AND ".join(["v.status = 'indexed'", *more, *conditions(filters)])
    return f"SELECT {columns}\n    FROM videos v\n    WHERE {where}"


def _hours(filters: Filters, asked: ChartParams) -> str:
    return f"""\
SELECT strftime(v.indexed_at, '{_FORMATS[asked.grain]}') AS indexed,
       round(sum(v.duration_ms) / 3_600_000, 3) AS hours,
       count(*) AS videos
FROM ({_chosen(filters, "v.indexed_at, v.duration_ms")}) v
GROUP BY ALL
ORDER BY indexed"""


def _topics(filters: Filters, asked: ChartParams) -> str:
    return f"""\
WITH chosen AS (
    {_chosen(filters, "v.video_id, v.published_at, v.speech_ms")}
)
SELECT coalesce(strftime(v.published_at, '{_FORMATS[asked.grain]}'), 'no date') AS published,
       t.label AS topic,
       round(sum(v.speech_ms) / 60_000, 1) AS minutes,
       count(*) AS videos
FROM chosen v
JOIN topics t ON t.video_id = v.video_id AND t.scope = 'video' AND t.rank = 1
GROUP BY ALL
ORDER BY published, minutes DESC, topic"""


def _distinctive(filters: Filters, asked: ChartParams) -> str:
    others = Filters(None, filters.since, filters.until, filters.language, filters.min_confidence)
    return f"""\
-- Log-odds with the whole archive as prior: Monroe, Colaresi and Quinn, 2008, "Fightin' Words". z is in standard errors.
WITH asked AS (SELECT {quoted(asked.topic)} AS topic, 500 AS prior_words, 20 AS how_many),
chosen AS (
    {_chosen(others, "v.video_id")}
),
labelled AS (
    SELECT t.video_id, t.label = (SELECT topic FROM asked) AS here
    FROM topics t SEMI JOIN chosen USING (video_id)
    WHERE t.scope = 'video' AND t.rank = 1
),
counted AS (
    SELECT coalesce(w.folded, w.word) AS word,
           count(*) FILTER (WHERE l.here) AS here,
           count(*) FILTER (WHERE NOT l.here) AS elsewhere
    FROM words w JOIN labelled l USING (video_id)
    GROUP BY 1
),
weighed AS (
    SELECT c.word, c.here, c.elsewhere,
           a.prior_words AS all_prior,
           a.prior_words * (c.here + c.elsewhere) / sum(c.here + c.elsewhere) OVER () AS prior,
           sum(c.here) OVER () AS all_here,
           sum(c.elsewhere) OVER () AS all_elsewhere
    FROM counted c CROSS JOIN asked a
)
SELECT word,
       round((ln((here + prior) / (all_here + all_prior - here - prior))
              - ln((elsewhere + prior) / (all_elsewhere + all_prior - elsewhere - prior)))
             / sqrt(1 / (here + prior) + 1 / (elsewhere + prior)), 2) AS z,
       here, elsewhere
FROM weighed
WHERE here > 0 AND all_here + all_prior > here + prior
ORDER BY z DESC, word
LIMIT (SELECT how_many FROM asked)"""


def _phrase(filters: Filters, asked: ChartParams) -> str:
    words = words_of(asked.phrase)
    if not words or len(words) > LONGEST_PHRASE:
        raise BadQuery(f"A phrase has 1 to {LONGEST_PHRASE} words.", next="Type some words.")
    reach = len(" ".join(words[:-1])) + 2 if len(words) > 1 else 0
    return f"""\
-- Texts of passages are folded: no capitals, no accents. A phrase that began in the passage before counts where it ends.
WITH asked AS (SELECT {quoted(" ".join(words))} AS phrase, {quoted(f" {words[-1]} ")} AS last_word, {reach} AS reach),
chosen AS (
    {_chosen(filters, "v.video_id, v.published_at, v.n_words")}
),
said AS (
    -- Every space is doubled, so that two hits side by side do not share one.
    SELECT p.video_id,
           sum(len(string_split(replace(rtrim(right(p.carried, a.reach)) || p.text, ' ', '  '),
                                ' ' || replace(a.phrase, ' ', '  ') || ' ')) - 1) AS times
    FROM passages p CROSS JOIN asked a
    WHERE contains(p.text, a.last_word)
    GROUP BY p.video_id
)
SELECT coalesce(strftime(c.published_at, '{_FORMATS[asked.grain]}'), 'no date') AS published,
       coalesce(sum(s.times), 0)::BIGINT AS said,
       count(*) FILTER (WHERE s.times > 0) AS videos,
       sum(c.n_words)::BIGINT AS words,
       round(1_000_000 * said / nullif(words, 0), 1) AS per_million
FROM chosen c LEFT JOIN said s USING (video_id)
GROUP BY ALL
ORDER BY published"""


def _rate(filters: Filters, asked: ChartParams) -> str:
    return f"""\
SELECT (floor(60_000.0 * v.n_words / v.speech_ms / 10) * 10)::INT AS words_a_minute,
       count(*) AS videos
FROM ({_chosen(filters, "v.n_words, v.speech_ms", "v.speech_ms >= 10_000")}) v
GROUP BY ALL
ORDER BY words_a_minute"""


def _confidence(filters: Filters, asked: ChartParams) -> str:
    return f"""\
SELECT (floor(least(w.confidence, 0.9999) * 20) * 5)::INT AS confidence_percent,
       count(*) AS words
FROM words w
SEMI JOIN ({_chosen(filters, "v.video_id")}) v USING (video_id)
GROUP BY ALL
ORDER BY confidence_percent"""


def _concordance(filters: Filters, asked: ChartParams) -> str:
    words = words_of(asked.word)
    if len(words) != 1:
        raise BadQuery("A concordance is of one word.", next="Type one word.")
    return f"""\
WITH asked AS (SELECT {quoted(words[0])} AS word, 6 AS around, {CONCORDANCE_LINES} AS how_many),
chosen AS (
    {_chosen(filters, "v.video_id, v.title, v.key, v.published_at")}
),
hits AS (
    SELECT w.video_id, w.word_no, w.word, w.start_ms, c.title, c.key, c.published_at
    FROM words w JOIN chosen c USING (video_id)
    WHERE coalesce(w.folded, w.word) = (SELECT word FROM asked)
    ORDER BY c.published_at DESC NULLS LAST, c.key, w.word_no
    LIMIT (SELECT how_many FROM asked)
)
SELECT h.video_id, h.title, h.published_at::DATE AS published, h.start_ms,
       coalesce(string_agg(n.word, ' ' ORDER BY n.word_no) FILTER (WHERE n.word_no < h.word_no), '') AS before,
       h.word,
       coalesce(string_agg(n.word, ' ' ORDER BY n.word_no) FILTER (WHERE n.word_no > h.word_no), '') AS after
FROM hits h
CROSS JOIN asked a
JOIN words n ON n.video_id = h.video_id AND n.word_no BETWEEN h.word_no - a.around AND h.word_no + a.around
GROUP BY h.video_id, h.title, h.key, h.published_at, h.word_no, h.word, h.start_ms
ORDER BY h.published_at DESC NULLS LAST, h.key, h.word_no"""


CHARTS = {
    chart.name: chart
    for chart in (
        Chart(
            "hours", "Hours indexed", "Hours of media and videos by the time they were indexed.", "bars", "hours", "h",
            _hours, axis="time",
        ),
        Chart(
            "topics", "Talk time by topic", "Minutes of speech by date of publication and first topic.", "stacked",
            "minutes", "min", _topics, series="topic", axis="time",
        ),
        Chart(
            "phrase", "A phrase over time", "How often a phrase was said, for every million words.", "bars",
            "per_million", "per million words", _phrase, axis="time", wants="phrase",
        ),
        Chart(
            "distinctive", "Distinctive words", "Words said more often in one topic than in all others.", "words",
            "z", "standard errors", _distinctive, wants="topic",
        ),
        Chart(
            "rate", "Speech rate", "Videos by the words a minute in which somebody speaks.", "bars", "videos", "videos", _rate, axis=10,
        ),
        Chart(
            "confidence", "Confidence", "Words by how sure their recognition was, in steps of 5 %.", "bars", "words",
            "words", _confidence, axis=5,
        ),
        Chart(
            "concordance", "Concordance", f"Where a word is said, newest videos first: {CONCORDANCE_LINES} places at most.", "concordance",
            "word", "", _concordance, wants="word",
        ),
    )
}  # fmt: skip

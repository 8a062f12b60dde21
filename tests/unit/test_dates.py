"""Points in time, in the forms that sidecars and containers write, and what only looks like one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tasks.sources.dates import instant

DAY = datetime(2020, 1, 2, tzinfo=UTC)
NOON = datetime(2020, 1, 2, 12, 30, 15, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "when"),
    [
        (1_700_000_000, datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)),
        ("20240131", datetime(2024, 1, 31, tzinfo=UTC)),
        ("2024", datetime(2024, 1, 1, tzinfo=UTC)),
        ("2024-01-31", datetime(2024, 1, 31, tzinfo=UTC)),
        ("2024-01-31T10:00:00", datetime(2024, 1, 31, 10, tzinfo=UTC)),
        ("2024-01-31T10:00:00+02:00", datetime(2024, 1, 31, 8, tzinfo=UTC)),
        (" 2024-01-31T10:00:00Z ", datetime(2024, 1, 31, 10, tzinfo=UTC)),
    ],
)
def test_instants_are_read_in_every_usual_form(value: object, when: datetime):
    assert instant(value) == when
    assert instant(value).tzinfo is UTC


@pytest.mark.parametrize(
    "value",
    [20200102, 20200102.0, "20200102", "20200102.0", "2020-01-02", "2020-1-2", "2020/01/02", "2020.01.02", "2020:01:02", "2020-01-02Z",
     "2020-01-02\x00\x00", "2020-W01-4", "2 Jan 2020", "02 January 2020", "2nd January 2020", "Jan 2, 2020",
     "Thu, 02 Jan 2020", "Thursday, January 2, 2020", "2020-01-02+02:00"],
)  # fmt: skip
def test_a_day_is_its_beginning_in_utc(value: object):
    assert instant(value) == DAY
    assert instant(value).tzinfo is UTC


@pytest.mark.parametrize(
    "value",
    [1577968215, 1577968215.0, "1577968215", "1577968215.0", 1577968215000, "1577968215000", 1577968215000000,
     "1577968215000000", 1577968215000000000, "20200102123015", 20200102123015,
     "2020-01-02T12:30:15Z", "2020-01-02t12:30:15z", "2020-01-02 12:30:15", "2020-01-02  12:30:15 UTC", "2020-01-02T14:30:15+02:00",
     "2020-01-02T14:30:15+0200", "2020-01-02T14:30:15+02", "2020-01-02 14:30:15 +0200", "2020-01-02T07:30:15-05:00",
     "2020-01-02T12:30:15.000Z", "2020-01-02T12:30:15,000000000Z", "2020:01:02 12:30:15", "2020:01:02 14:30:15+02:00",
     "2020/01/02 12:30:15", "20200102T123015Z", "Thu, 02 Jan 2020 12:30:15 GMT", "Thu, 2 Jan 2020 14:30:15 +0200",
     "2 Jan 2020 07:30:15 EST", "Thu, 02 Jan 2020 12:30:15 +0000 (UTC)", "02 Jan 2020 12:30:15", "Thu Jan  2 12:30:15 2020",
     "Thu Jan  2 12:30:15 UTC 2020", "Thu Jan 02 2020 14:30:15 GMT+0200 (Central European Summer Time)"],
)  # fmt: skip
def test_a_time_is_read_in_every_usual_form(value: object):
    assert instant(value) == NOON
    assert instant(value).tzinfo is UTC


@pytest.mark.parametrize(
    "value", ["2020-01", "2020/01", "Jan 2020", "January 2020", 2020, 2020.0, "2020", "2020-01-01"]
)
def test_a_month_and_a_year_begin_with_their_first_day(value: object):
    assert instant(value) == datetime(2020, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    "value", [1577968215.25, "1577968215.25", "2020-01-02T12:30:15.25Z", "2020-01-02T12:30:15,250Z"]
)
def test_fractions_of_seconds_are_kept(value: object):
    assert instant(value) == NOON + timedelta(milliseconds=250)


@pytest.mark.parametrize("unit", [10**3, 10**6, 10**9])
def test_parts_of_a_second_are_known_by_their_digits(unit: int):
    for when in (datetime(1973, 4, 1, tzinfo=UTC), datetime(2000, 1, 1, tzinfo=UTC), datetime(2001, 9, 10, tzinfo=UTC)):
        number = int(when.timestamp()) * unit
        for value in (number, str(number)):
            assert instant(value) == instant(value, seconds=True) == when


def test_a_minute_and_an_hour_will_do():
    assert instant("2020-01-02T12:30") == instant("202001021230") == datetime(2020, 1, 2, 12, 30, tzinfo=UTC)
    assert instant("2020-01-02T12") == datetime(2020, 1, 2, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "when"),
    [
        (1577968215, NOON),
        ("1577968215", NOON),
        ("+1577968215", NOON),
        (" 1577968215.25 ", NOON + timedelta(milliseconds=250)),
        (1577968215000, NOON),
        ("1577968215000000", NOON),
        (0.5, datetime(1970, 1, 1, 0, 0, 0, 500_000, tzinfo=UTC)),
        (86400, datetime(1970, 1, 2, tzinfo=UTC)),
        (-86400, datetime(1969, 12, 31, tzinfo=UTC)),
        ("-86400", datetime(1969, 12, 31, tzinfo=UTC)),
        (-2208988800, datetime(1900, 1, 1, tzinfo=UTC)),
        (195001010, datetime(1976, 3, 6, 22, 56, 50, tzinfo=UTC)),
        (12345678, datetime(1970, 5, 23, 21, 21, 18, tzinfo=UTC)),
        ("2020-01-02T12:30:15Z", NOON),
        ("20200102", DAY),
    ],
)
def test_in_a_field_of_seconds_any_number_is_a_time(value: object, when: datetime):
    assert instant(value, seconds=True) == when


@pytest.mark.parametrize(
    "value",
    [20200102, 20200102.0, 20201301, "20201301", 2020, 0, "0", -0.0, -1, "-1", True, 1e300, 99999999999],
    ids=repr,
)
def test_in_a_field_of_seconds_a_number_that_might_be_something_else_is_none(value: object):
    assert instant(value, seconds=True) is None


@pytest.mark.parametrize(
    "value",
    [None, "", "soon", "20241331", "0000", 0, -5, True, False, float("nan"), float("inf"), -float("inf"), 1e300, [], {},
     "2024-13-01", 20201301, "20200230", "2020-02-30", "00000101", "0000-01-01", "0000:00:00 00:00:00", "30828-09-14",
     "30828-09-14T02:48:05Z", "NaN", "Infinity", [20200102], {"date": 20200102}, b"20200102", 10**400, -(10**400),
     "1" * 5000, "2020-01-02T25:00:00", "2020-01-02T12:61:00", "2020-01-02T12:30:15+25:00", "2020-01-02T12:30:15+01:99",
     20200102.5, "20200102.5", 202013010000, "20201301000000", 99999999999999,
     "-20200102", "-2020", "12345678", 12345678, 1234, 12345, 123456, 1234567, 12345678901,
     "0001-01-01T00:00:00", "0001577968215", "2020-01-02 garbage", "2020-01-02" + " " * 300, "2020-01-02T12:30:15Z garbage"],
    ids=lambda value: repr(value)[:30],
)  # fmt: skip
def test_what_is_no_instant_is_none(value: object):
    assert instant(value) is None


@pytest.mark.parametrize(
    "text",
    ["01/02/2020", "1/2/2020", "31/01/2020", "01-02-2020", "31.01.2020", "20-01-02", "01/02/20", "2 Jan 20", "200102",
     "2020010212", "2 Mai 2020", "2020-01-02 12:30 PM", "Thu, 02 Jan 2020 12:30:15 CET", "Thursday, 02-Jan-20 12:30:15 GMT"],
)  # fmt: skip
def test_what_might_be_two_instants_is_none(text: str):
    assert instant(text) is None


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00"])
def test_an_instant_outside_the_years_1_to_9999_in_utc_is_none(text: str):
    # The lake took it, and no Python could read the row again.
    assert instant(text) is None


@pytest.mark.parametrize(
    "text", ["1904-01-01T00:00:00Z", "1970-01-01T00:00:00.000000Z", "1970-01-01", "1969-12-31T23:00:00Z", "1601-01-01"]
)
def test_the_first_day_of_a_clock_is_none_where_a_clock_is_asked(text: str):
    assert instant(text, clock=True) is None
    assert instant(text) is not None

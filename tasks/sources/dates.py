"""Points in time as sidecars and containers write them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# What a clock shows that was never set, or a program that knows none: zero of Windows, QuickTime and Unix.
NEVER_SET = (datetime(1601, 1, 1, tzinfo=UTC), datetime(1904, 1, 1, tzinfo=UTC), EPOCH)
NO_DATE = datetime(1, 1, 1, tzinfo=UTC)
LONGEST = 200  # characters of a date, with blanks around it
DIGIT_YEARS = range(1800, 2200)  # of dates that are nothing but digits
DIGIT_FORMS = {4: "%Y", 8: "%Y%m%d", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"}
# Of a second in a time since 1970, by its digits: from 1973 to 2286.
UNITS = {12: 10**3, 13: 10**3, 15: 10**6, 16: 10**6, 18: 10**9, 19: 10**9}
MONTHS = "january february march april may june july august september october november december".split()
ZONES = dict.fromkeys(("", "z", "ut", "utc", "gmt"), 0)  # hours ahead of UTC
ZONES |= {"edt": -4, "est": -5, "cdt": -5, "cst": -6, "mdt": -6, "mst": -7, "pdt": -7, "pst": -8}

_NUMBER = re.compile(r"([-+]?)(\d{1,19})(\.\d+)?")
_TIME = r"(?P<hour>\d{1,2}):(?P<minute>\d\d)(?::(?P<second>\d\d)(?:[.,](?P<fraction>\d+))?)?"
_ZONE = r"(?: ?(?P<zone>(?:GMT|UTC)?[-+]\d\d(?::?\d\d)?|[a-z]{1,3})(?: ?\([^()]*\))?)?"
_DAY = r"(?P<day>\d{1,2})(?:st|nd|rd|th)?"
_WEEKDAY = r"(?:(?:mon|tues?|wed(?:nes)?|thu(?:rs?)?|fri|sat(?:ur)?|sun)(?:day)?[.,]? )?"
_NAME = r"(?P<name>[a-z]{3,9})\.?"
_FORMS = [
    re.compile(form, re.IGNORECASE)
    for form in (
        # ISO 8601, EXIF, and others that begin with the year.
        rf"(?P<year>\d{{4}})(?P<mark>[-:/.])(?P<month>\d{{1,2}})(?P=mark)(?P<day>\d{{1,2}})(?:(?: ?T ?| ){_TIME})?{_ZONE}",
        r"(?P<year>\d{4})[-/](?P<month>\d{1,2})",
        rf"{_NAME},? (?P<year>\d{{4}})",
        # RFC 2822, and as people and browsers write.
        rf"{_WEEKDAY}{_DAY}[- ]{_NAME},?[- ](?P<year>\d{{4}})(?:,? {_TIME}{_ZONE})?",
        rf"{_WEEKDAY}{_NAME} {_DAY},? (?P<year>\d{{4}})(?:,? {_TIME}{_ZONE})?",
        # What `date` and C's asctime say.
        rf"{_WEEKDAY}{_NAME} {_DAY} {_TIME}{_ZONE} (?P<year>\d{{4}})",
    )
]
_OTHER_ISO = re.compile(r"\d{4}-?W\d\d(-?\d)?([T ].*)?|\d{8}[T ].*|\d{4}-\d\d-\d\d[T ].*")


def instant(value: object, *, seconds: bool = False, clock: bool = False) -> datetime | None:
    """A point in time, in UTC; None for what is none, or might be two.

    - Digits, as number or string: `2024`, `20240131`, `202401311000`, `20240131100000`; else seconds since 1970 (9 or 10
      digits), or thousandths (12 or 13) and so on. What looks like a date is no time since 1970, and none if it is no date.
    - Text: ISO 8601 (`2024-01-31T10:00:00+02:00`, `2024-01`), also with `/`, `.` or, as in EXIF, `:` in the date; RFC 2822
      (`Wed, 31 Jan 2024 10:00:00 GMT`) and other forms with the English name of the month. It is in UTC where no zone
      is named.
    - None: `01/02/2024`, where nobody knows whether the day or the month comes first, and with it `31.01.2024`; years of
      two digits; times in a zone that is neither UTC, an offset, nor one of RFC 2822.

    Args:
        seconds: the field is one of seconds since 1970 (`timestamp`): any number is a time, negative ones too. One that
            looks like a year or a date is none; -1 stands for "not known" and is none, as 0 is everywhere.
        clock: it comes from a clock that may never have been set: the first days of such clocks are none.
    """
    when = None
    if isinstance(value, str) and len(value) <= LONGEST:
        text = re.sub(r"[\x00-\x20\x7f\xa0]+", " ", value).strip()
        number = _NUMBER.fullmatch(text)
        when = _of_number(number, seconds, quoted=True) if number else _of_text(text)
    elif isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 10**19:
        number = _NUMBER.fullmatch(format(Decimal(str(value)).normalize(), "f"))
        when = _of_number(number, seconds, quoted=False) if number else None
    if when == NO_DATE or (clock and when and any(abs(when - zero) < timedelta(days=1) for zero in NEVER_SET)):
        return None
    return when


def _of_number(said: re.Match[str], seconds: bool, *, quoted: bool) -> datetime | None:
    sign, digits, fraction = said.groups("")
    fraction = fraction.rstrip(".0")
    like_a_date = len(digits) in DIGIT_FORMS and int(digits[:4]) in DIGIT_YEARS
    if like_a_date and (quoted or not seconds or len(digits) > 8):
        return None if sign or fraction else _of_digits(digits, DIGIT_FORMS[len(digits)])
    if seconds:
        known = not like_a_date and (len(digits) <= 10 or len(digits) in UNITS) and not (sign == "-" and digits == "1")
    else:
        hour = len(digits) == 10 and _of_digits(digits, "%Y%m%d%H")
        known = not sign and not hour and (len(digits) in (9, 10) or len(digits) in UNITS)
    since = Decimal(f"{sign}{digits}{fraction}")
    if not known or not since or (len(digits) > 1 and digits[0] == "0"):
        return None
    return EPOCH + timedelta(microseconds=round(since * 10**6 / UNITS.get(len(digits), 1)))


def _of_digits(digits: str, form: str) -> datetime | None:
    try:
        return datetime.strptime(digits, form).replace(tzinfo=UTC) if int(digits[:4]) in DIGIT_YEARS else None
    except ValueError:
        return None


def _of_text(text: str) -> datetime | None:
    try:
        for form in _FORMS:
            if found := form.fullmatch(text):
                return _of_parts(found.groupdict())
        if not _OTHER_ISO.fullmatch(text):
            return None
        when = datetime.fromisoformat(text)
        # In UTC it may leave the years 1 to 9999, which the lake would take and Python not read again.
        return when.astimezone(UTC) if when.tzinfo else when.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None


def _of_parts(said: dict[str, str | None]) -> datetime | None:
    name = (said.get("name") or "").lower()
    months = [n for n, month in enumerate(MONTHS, 1) if name and month.startswith(name)]
    month = int(said.get("month") or 0) or (months or [0])[0]
    zone = _zone((said.get("zone") or "").lower())
    if zone is None:
        return None
    if not said.get("hour"):
        zone = UTC  # a day is a day
    when = datetime(
        int(said["year"] or 0),
        month,
        int(said.get("day") or 1),
        int(said.get("hour") or 0),
        int(said.get("minute") or 0),
        int(said.get("second") or 0),
        int((said.get("fraction") or "")[:6].ljust(6, "0")),
        zone,
    )
    return when.astimezone(UTC)


def _zone(said: str) -> timezone | None:
    """The zone as it is named, in small letters; None when it is one that not everybody knows."""
    if offset := re.fullmatch(r"(?:gmt|utc)?([-+])(\d\d):?(\d\d)?", said):
        hours, minutes = int(offset[2]), int(offset[3] or 0)
        since = timedelta(hours=hours, minutes=minutes)
        return timezone(-since if offset[1] == "-" else since) if minutes < 60 else None
    ahead = ZONES.get(said)
    return None if ahead is None else timezone(timedelta(hours=ahead))

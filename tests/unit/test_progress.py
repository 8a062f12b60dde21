"""Lines that say how far a run is."""

from __future__ import annotations

from nightscribe import progress


def test_the_time_left_is_that_of_what_this_run_has_done(monkeypatch, capsys):
    now = [1000.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    with progress.counting("training") as show:
        for done in (751, 761, 771):  # 750 were done before a kill
            show(done, 1051)
            now[0] += 40
    assert capsys.readouterr().err.splitlines() == [
        "training: 751 of 1051",
        "training: 761 of 1051, 19 min left",
        "training: 771 of 1051, 19 min left",
    ]


def test_a_bar_whose_remark_says_the_time_left_says_no_other(monkeypatch, capsys):
    columns = {timed: [type(c).__name__ for c in progress._bar(timed=timed).columns] for timed in (True, False)}
    assert set(columns[True]) - set(columns[False]) == {"TimeRemainingColumn"}
    now = [1000.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    with progress.counting("backfill", timed=False) as show:
        for done in (1, 2):
            show(done, 9, "7 min left")
            now[0] += 40
    assert capsys.readouterr().err.splitlines() == ["backfill: 1 of 9, 7 min left", "backfill: 2 of 9, 7 min left"]

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

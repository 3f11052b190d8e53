"""Durations, periods and moments as Dapr reads them."""

from datetime import UTC, datetime, timedelta

import pytest
from dapr.serializers.util import convert_to_dapr_duration
from hypothesis import given
from hypothesis import strategies as st

from multi_actor.errors import InvalidDurationError
from multi_actor.hosting.schedule import Period, Schedule, moment_of, period_of, read_registration, seconds_of

NOW = 1_000_000.0


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("", 0),
        ("0", 0),
        ("0s", 0),
        ("5s", 5),
        ("1h30m", 5400),
        ("1.5h", 5400),
        (".5s", 0.5),
        ("1.s", 1),
        ("500ms", 0.5),
        ("250us", 250e-6),
        ("250µs", 250e-6),
        ("250μs", 250e-6),
        ("10ns", 1e-8),
        ("2562047h", 2562047 * 3600),
        ("0h0m5s0ms0μs", 5),
        ("1h2m3s4ms5μs", 3723.004005),
        ("30m1h", 5400),
    ],
)
def test_go_durations_are_read(text: str, seconds: float) -> None:
    """Every unit of Go's, fractions and sums included."""
    assert seconds_of(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("PT5S", 5), ("PT1H30M", 5400), ("P1D", 86400), ("P1DT12H", 129600), ("P1W", 604800), ("PT0.5S", 0.5)],
)
def test_iso_8601_durations_are_read(text: str, seconds: float) -> None:
    """From weeks down to fractions of a second."""
    assert seconds_of(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "text",
    [
        "5",
        "s",
        "5 s",
        " 5s",
        "5s ",
        "-5s",
        "+5s",
        "5x",
        "1h30",
        "1e3s",
        "\u0665s",
        "P",
        "PT",
        "PT5",
        "-PT5S",
        "P-1D",
        "null",
        "5s\n",
    ],
)
def test_what_is_no_duration_is_refused(text: str) -> None:
    """The error quotes what could not be read."""
    with pytest.raises(InvalidDurationError) as refused:
        seconds_of(text)
    assert repr(text) in str(refused.value)


@given(st.timedeltas(min_value=timedelta(), max_value=timedelta(days=40_000)))
def test_what_the_sdk_writes_is_read_back(duration: timedelta) -> None:
    """A timedelta that an actor gives arrives as the same number of seconds, to the microsecond."""
    assert seconds_of(convert_to_dapr_duration(duration)) == pytest.approx(
        duration.total_seconds(), rel=1e-12, abs=1e-6
    )


@given(st.text(max_size=20))
def test_any_text_is_a_duration_or_an_error(text: str) -> None:
    """Nothing that an actor writes raises anything else, or gives a negative time."""
    try:
        assert seconds_of(text) >= 0
    except InvalidDurationError:
        return


@given(st.text(max_size=20))
def test_any_text_is_a_moment_or_an_error(text: str) -> None:
    """Due times as well."""
    try:
        moment_of(text, now=NOW)
    except InvalidDurationError:
        return


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        (None, NOW),
        ("", NOW),
        ("5s", NOW + 5),
        ("PT5S", NOW + 5),
        ("2030-01-02T03:04:05Z", datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC).timestamp()),
        ("2030-01-02T03:04:05.5+02:00", datetime(2030, 1, 2, 1, 4, 5, 500_000, tzinfo=UTC).timestamp()),
        ("2030-01-02T03:04:05", datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC).timestamp()),
        ("1970-01-01T00:00:00Z", 0),
    ],
)
def test_a_moment_is_a_duration_from_now_or_a_time(text: str | None, moment: float) -> None:
    """A time without a zone is UTC; one that is past stays past."""
    assert moment_of(text, now=NOW) == moment


@pytest.mark.parametrize("text", ["soon", "2030-13-01T00:00:00Z", "2030-01-02T25:00:00Z", "R3/PT1S"])
def test_what_is_no_moment_is_refused(text: str) -> None:
    """Neither a duration nor a time."""
    with pytest.raises(InvalidDurationError):
        moment_of(text, now=NOW)


@pytest.mark.parametrize(
    ("text", "period"),
    [
        (None, None),
        ("", None),
        ("0s", None),
        ("0h0m0s0ms0μs", None),
        ("5s", Period(5)),
        ("PT5S", Period(5)),
        ("R3/PT5S", Period(5, 3)),
        ("R2/1m", Period(60, 2)),
        ("R1/PT5S", None),
        ("R1", None),
    ],
)
def test_periods_are_read(text: str | None, period: Period | None) -> None:
    """Without time between, or with one tick in all, there is no period."""
    assert period_of(text) == period


@pytest.mark.parametrize("text", ["R3", "R3/", "R3/PT0S", "R/PT5S", "R-1/PT5S", "Rx/PT5S", "R3PT5S", "often"])
def test_what_is_no_period_is_refused(text: str) -> None:
    """Repetitions need time between them."""
    with pytest.raises(InvalidDurationError):
        period_of(text)


def test_a_schedule_ticks_until_it_has_no_more() -> None:
    """Each tick is one period after the last, as often as there are repetitions."""
    schedule = Schedule.of({"dueTime": "10s", "period": "R3/PT5S"}, now=NOW)
    assert schedule.due == NOW + 10
    assert schedule.next_due(NOW + 10, 1, now=NOW + 10) == NOW + 15
    assert schedule.next_due(NOW + 15, 2, now=NOW + 15) == NOW + 20
    assert schedule.next_due(NOW + 20, 3, now=NOW + 20) is None


def test_missed_ticks_count_as_one() -> None:
    """A late tick is followed by the next that is still to come, in the old rhythm."""
    schedule = Schedule.of({"dueTime": "0s", "period": "10s"}, now=NOW)
    assert schedule.next_due(NOW, 1, now=NOW + 9.9) == NOW + 10
    assert schedule.next_due(NOW, 1, now=NOW + 35) == NOW + 40


def test_no_tick_comes_after_the_time_to_live() -> None:
    """One that falls on its end still does."""
    schedule = Schedule.of({"period": "10s", "ttl": "20s"}, now=NOW)
    assert schedule.expires == NOW + 20
    assert schedule.next_due(NOW + 10, 1, now=NOW + 10) == NOW + 20
    assert schedule.next_due(NOW + 20, 2, now=NOW + 20) is None
    assert schedule.next_due(NOW, 1, now=NOW + 15) == NOW + 20


@given(due=st.floats(0, 1e9), period=st.floats(1e-3, 1e6), late=st.floats(0, 1e6))
def test_the_next_tick_is_always_after_the_last(due: float, period: float, late: float) -> None:
    """However late: rounding aside it is never in the past, nor more than one period away."""
    tick = Schedule(due, Period(period), None).next_due(due, 1, now=due + late)
    assert tick is not None
    assert tick > due
    assert due + late - 1e-3 <= tick <= due + late + period + 1e-3


@pytest.mark.parametrize("data", [b"", b"{", b"\xff", b"[" * 100_000])
def test_a_registration_that_is_no_json_is_refused(data: bytes) -> None:
    """Undecodable or too deep."""
    with pytest.raises((ValueError, RecursionError)):
        read_registration(data)


@pytest.mark.parametrize("data", [b"[]", b"null", b'"5s"'])
def test_a_registration_is_an_object(data: bytes) -> None:
    """Any other JSON is refused."""
    with pytest.raises(TypeError, match="object"):
        read_registration(data)

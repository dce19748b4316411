"""The histograms, against the library's own."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram, generate_latest

from scoring.server.metrics import BUCKETS, Durations


@settings(deadline=None, max_examples=100)
@given(
    st.lists(
        st.tuples(st.sampled_from(["/score", "/skill"]), st.sampled_from(BUCKETS) | st.floats(0, 100)), max_size=30
    )
)
def test_durations_are_shown_as_the_library_shows_its_own(told: list[tuple[str, float]]) -> None:
    theirs, ours = CollectorRegistry(), CollectorRegistry()
    histogram = Histogram("seconds", "how long", ("route",), buckets=BUCKETS, registry=theirs)
    durations = Durations("seconds", "how long", "route")
    ours.register(durations)
    for route, seconds in told:
        histogram.labels(route).observe(seconds)
        durations.observe(route, seconds)
    expected = [line for line in generate_latest(theirs).splitlines() if b"_created" not in line]
    assert generate_latest(ours).splitlines() == expected

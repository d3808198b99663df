"""Metrics from other programs, as the server's owner configures them."""

from typing import List

from spider.wire.metric_type import Metric

_PROGRAMS = "programs in /etc/stardust/metrics.d"
_STATSD = "statsd socket"


def _custom(name: str, unit: str, about: str, source: str) -> Metric:
    return Metric(name, unit, "custom", "gauge", ("name",), 1000, about, source)


METRICS: List[Metric] = [
    _custom("custom", "", "value that a program printed under this name, with its unit in brackets", _PROGRAMS),
    _custom("statsd.gauge", "", "the last level that was sent", _STATSD),
    _custom("statsd.rate", "1/s", "increase of counters, over the minute", _STATSD),
    _custom("statsd.timer", "ms", "mean of a timer, over the minute", _STATSD),
    _custom("statsd.timer_max", "ms", "longest time of a timer in the minute", _STATSD),
    _custom("statsd.timer_rate", "1/s", "how often a timer was sent, over the minute", _STATSD),
]

"""One file per family of checks; each is a :class:`vivant.checks.metric.Metric`."""

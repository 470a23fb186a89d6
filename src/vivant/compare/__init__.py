"""Compares variants: the same pictures and seeds are made with each of them.

::

    plan.py             ComparisonPlan and Variant: what is compared
    plan_file.py        reads a plan from TOML, or a preset
    runner.py           makes the clips
    clips.py            Comparison: the clips that there are
    statistics.py       sign test, Holm's correction, intervals
    findings.py         every score of every variant against the baseline
    recommendation.py   the rule that says which variant to use
    sentences.py        the recommendation as text; bilingual.py fills in both languages
    failure_reasons.py  why a clip is missing, in both languages
    exports.py          compare.json and compare.csv
    page.py             compare.html
    from_json.py        findings and page of a comparison that the service keeps
    rating/             the blind test
"""

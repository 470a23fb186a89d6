"""The verification as one HTML page that stands by itself, in Korean and English."""

from vivant.checks.report.page import EMBED_LIMIT, check_page, write_html

__all__ = ["EMBED_LIMIT", "check_page", "write_html"]

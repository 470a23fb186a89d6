"""The page: its files, to be served, and the same page as a single file to keep.

Knows nothing of HTTP or of jobs: the API serves what :func:`asset` returns, and the page speaks to
it through the routes of ``docs/api.md``.
"""

from vivant.web.files import PAGE_POLICY, Asset, asset, asset_paths, sample_asset
from vivant.web.single import single_file

__all__ = ["PAGE_POLICY", "Asset", "asset", "asset_paths", "sample_asset", "single_file"]

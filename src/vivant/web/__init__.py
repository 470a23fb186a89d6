"""The web page: its files, and the same page as a single HTML file.

The API serves what :func:`asset` returns. The page calls the HTTP API of ``docs/api.md``.
"""

from vivant.web.files import PAGE_POLICY, Asset, asset, asset_paths, sample_asset
from vivant.web.single import single_file

__all__ = ["PAGE_POLICY", "Asset", "asset", "asset_paths", "sample_asset", "single_file"]

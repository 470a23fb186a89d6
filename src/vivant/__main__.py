"""``python -m vivant``."""

from vivant.cli.main import main

if __name__ == "__main__":
    main()

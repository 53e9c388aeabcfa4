"""The page on which you draw a digit and see it read, by the same engine that was trained."""

from webdemo.app import create_app

__all__ = ["create_app"]

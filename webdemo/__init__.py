"""The page on which you draw a digit and see it read, by the same engine that was trained."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flask import Flask


def create_app(*arguments: Any, **settings: Any) -> "Flask":
    """The application, as `webdemo.app.create_app` makes it, which imports NumPy only then: `flask --app webdemo`."""
    from webdemo.app import create_app

    return create_app(*arguments, **settings)

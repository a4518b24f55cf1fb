"""Calls."""

from worldverify.syntax.form import Form

FORMS: dict[str, Form] = {}

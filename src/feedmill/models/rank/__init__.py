"""Rankers: one linear first layer whose shares are made once per request and once per publish, and a body per kind."""

"""Experiment runs."""

"""Experiments: two variants compared by what people chose, and how many searches a comparison needs."""

"""Figures: what each is called, in which unit, which way is better, and what it means."""

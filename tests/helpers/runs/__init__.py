"""Folders as Space Ranger writes them, of simulated sections and Visium HD runs."""

"""Graphs: which spots are neighbours in space and which are alike."""

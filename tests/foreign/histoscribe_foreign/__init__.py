"""A package of somebody else's that plugs into Histoscribe."""

"""The side panels; none knows another."""

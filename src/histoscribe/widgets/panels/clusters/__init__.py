"""The Clusters panel."""

"""What the generator is compared with; each learns from a cohort and returns a sampler."""

"""The variants of the predictor: one module each, which defines `VARIANT`, and its line in this table."""

VARIANTS = {
    "histoscribe": "histoscribe.predictor.variants.histoscribe",
    "published": "histoscribe.predictor.variants.published",
}

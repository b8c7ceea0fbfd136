"""Whether a night is like those before: drift reference of a model, health of a night, flags of images."""

"""Made-up measures of images, for the tests of reference, flags and health."""

import numpy as np

from skinml.monitoring.reference import Measured

CLASS_MIX = (0.05, 0.08, 0.14, 0.02, 0.16, 0.53, 0.02)


def draw(
    generator: np.random.Generator,
    images: int,
    light: float = 1.0,
    megapixels: float = 0.27,
    class_mix: tuple[float, ...] = CLASS_MIX,
) -> Measured:
    """Measures of images of one population: `light` scales their brightness."""
    return Measured(
        brightness=generator.normal(0.62, 0.08, images).clip(0, 1) * light,
        sharpness=generator.lognormal(5, 0.7, images),
        megapixels=np.full(images, megapixels),
        confidence=generator.beta(5, 2, images),
        unlike_training=generator.gamma(9, 0.6, images),
        predicted=generator.choice(7, images, p=class_mix).astype(np.int64),
    )

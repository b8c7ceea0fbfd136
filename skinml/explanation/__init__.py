"""Why an image got its score: its row's origin, class activation maps, occlusion, nearest training lesions."""

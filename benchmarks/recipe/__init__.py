"""The recipe taken apart: what each part of fine-tuning is worth on validation lesions."""

"""Retrain: one run at a time, the champion's recipe, judged on images that neither model was trained on."""

"""The baseline, fine-tuning strategies, the choice among them and the verdict."""

"""Training of the llmzip models."""

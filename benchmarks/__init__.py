"""Benchmarks of llmzip against other compressors."""

"""llmzip: lossless text compression with a trained language model."""

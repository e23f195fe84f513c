"""Phrases for a service, proposed by a language model behind an OpenAI-compatible endpoint. Nothing is published by it."""

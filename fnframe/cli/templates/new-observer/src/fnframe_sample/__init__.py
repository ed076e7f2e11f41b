"""A plugin that hears of every invocation, and writes the slow ones into a file."""

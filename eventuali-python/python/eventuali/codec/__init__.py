"""Codecs: between the objects of a program and the payloads of events."""

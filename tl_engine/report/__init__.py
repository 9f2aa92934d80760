"""Findings, put together once for the pages and the command line.

A module here takes runs and gives values and sentences: it reads through `runs` and thinks through
`analysis`. It may import everything below it, neither `ui` nor `cli`, and draws nothing.
"""
